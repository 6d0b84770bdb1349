"""What a fit may cost, and what is worth its cost: every constant that was chosen, in one place.

No result depends on these but by rounding, within `tol`. They were chosen by measurement. Tests
and benchmarks pass others in: `Costs` goes with the data, and everything that has these asks them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DataCosts:
    """How rows are read."""

    #: Numbers in a block of logits. With half as many a pass took 1.1 times as long on 26 and 50
    #: classes, with twice as many 0.9 to 1 times, but those of float64 leave the second cache.
    block: int = 2**16
    #: Rows of such a block, at least and at most. Beyond 8192 nothing is gained with one class.
    rows_per_block: tuple[int, int] = (512, 8192)
    #: Numbers in a block of logits of CSR, whose every block takes an array like W to add up.
    csr_block: int = 2**20
    #: Rows that tell whether columns are far from zero.
    rows_for_centre: int = 1000
    #: Columns of float32 are far from zero if they are so many standard deviations away from it,
    #: which costs two digits.
    far_single: float = 100
    #: The same of float64, which costs three digits.
    far_double: float = 1000
    #: X is small if it has fewer bytes: float32 is read as float64, and the work of a fit is
    #: limited.
    few_bytes: int = 2**23
    #: Bytes of sparse rows from which they are worth being rounded to float32.
    worth_rounding: int = 2**20
    #: Numbers of sparse rows that tell whether all fit float32.
    numbers_for_size: int = 1000
    #: The largest number that is rounded to float32, which leaves room for products.
    fits_single: float = 1e9
    #: Numbers in X, and in its logits, up to which blocks are kept as they were read.
    kept_blocks: int = 2**16
    #: Runs of blocks that threads share, at most.
    spans: int = 16
    #: Multiplications that are worth a second run.
    work_per_span: int = 2**23
    #: Bytes that the sums of all runs may take.
    partial_sums: int = 2**26
    #: Bytes of rows that are in memory at a time if they are in a file or a store, which are read
    #: whole if they have no more, as integers and float16 are converted whole.
    part_bytes: int = 2**25
    #: Rows of a block on another device, whose sums are of its type of number.
    device_rows: int = 2**13
    #: Share of a device's free memory that a block, or what a fit keeps there, may take.
    device_share: float = 1 / 40
    #: Bytes of rows, or of a matrix, from which they are computed with on another device: fewer
    #: are worth less than the calls.
    worth_device: int = 2**20
    #: Sums of chunks that one task of Dask adds up.
    fan_in: int = 32
    #: Numbers in a block of logits of a prediction.
    predicted_block: int = 2**22


@dataclass(frozen=True)
class ObjectiveCosts:
    """The objective."""

    #: Rows in a block that is searched for classes without mass. Most targets have none, which
    #: the first block tells.
    certain_rows: int = 4096
    #: How far along a direction losses are as good as linear.
    far_along: float = 1e9
    #: Units in the last place by which a coefficient may make up for the rounding of an intercept.
    last_bits: int = 4
    #: Time of an operation with sparse rows, in those with dense rows.
    sparse_time: int = 5
    #: Bytes of probabilities that a Hessian may keep.
    kept_probabilities: int = 2**25


@dataclass(frozen=True)
class VariableCosts:
    """Changes of variables."""

    #: Rows that are enough to estimate means and covariances: as good as all of 300 000.
    moment_rows: int = 20_000
    #: The same for probes: so many for each column, and at least so many. With 10 clusters with
    #: C = 100 took twice as many passes.
    moment_rows_per_column: int = 40
    fewest_moment_rows: int = 4000
    #: Rows in a block from which a matrix of columns is made.
    matrix_rows: int = 2048
    #: Parameters up to which the whole Hessian is made at every point.
    joint_size: int = 128
    #: Multiplications for that Hessian, at most.
    joint_work: int = 2**21
    #: Bytes that the whole Hessian may take.
    joint_bytes: int = 2**24
    #: Numbers in a block of rows of the factor of the whole Hessian.
    joint_block: int = 2**21
    #: Columns, or rows, up to which a dense matrix of their products is worth its cost.
    whiten_up_to: int = 1000
    #: Numbers in X of few rows, up to which they are whitened by rows.
    row_numbers: int = 2**23
    #: Columns are of about one size if their curvatures differ by no more than this factor.
    common: float = 1e4
    #: Columns up to which a dense matrix of their products is worth its cost once conjugate
    #: gradients have taken long.
    whiten_late: int = 3000
    #: Operations of such a matrix in the time of one in a Hessian product, of dense and of sparse
    #: rows.
    whiten_worth: tuple[int, int] = (2, 10)
    #: Columns are scaled by this power of their curvature: 1 makes it the same for all, 0 leaves
    #: it as it is. With 0.5 and 0.8 text took up to a fifth more passes.
    column_power: float = 0.65
    #: Columns have the curvature of most within this factor, once they are scaled.
    spread: float = 1e5
    #: Passes of an iteration from which the curvature of columns is worth finding out again.
    worth_rescaling: int = 4
    #: Multiplications in a pass from which a sample of the rows is worth its copy.
    worth_sampling: int = 2**22
    #: Bytes of a sample, at most, unless the parameters need more rows.
    sample_bytes: int = 2**25
    #: The share of the rows that it may have then.
    sample_share: float = 1 / 8
    #: Rows per parameter of a sample whose optimum is a good start, and whose Hessian makes good
    #: steps.
    rows_per_parameter: int = 40
    #: Bytes that the matrices of all classes may take.
    class_bytes: int = 2**24
    #: Columns up to which Newton's method with such matrices is faster than L-BFGS without: on
    #: digits, of 64 columns, in half of the passes; on tables and clusters of 100 columns it took
    #: twice to three times as many.
    class_columns: int = 88
    #: Multiplications for the matrices of some classes that are worth a turn of their own.
    class_block: int = 2**20
    #: Rows with less than this share of the mean curvature are left out of the matrix of a class.
    #: Most rows are, if classes are nearly separated; together they hold about 1 % of the
    #: curvature.
    little_curvature: float = 0.03
    #: How far the bound of what conjugate gradients miss is above it in whitened variables, for X
    #: in float32. Overlapping embeddings with C = 1e4 took a quarter more passes with 1.
    trust: float = 10
    #: The least mean square of a column that has all of its digits.
    smallest_square: float = 1e-305
    #: A column is constant if its standard deviation is less than this share of its mean, which is
    #: rounding.
    constant: float = 1e-14
    #: Variances below this share of the largest, times the number of columns, are rounding.
    collinear: float = 10 * float(np.finfo(np.float64).eps)
    #: The ratio of the sizes of columns from which a basis that is not careful loses the small
    #: ones.
    graded: float = 1e5
    #: Operations for the eigenvectors of a matrix, as a multiple of the cube of its size, at the
    #: pace of Hessian products.
    eigenvectors: int = 5
    #: One in so many rows is asked first for the curvature of intercepts.
    intercept_part: int = 8
    #: But at least so many.
    intercept_rows: int = 500
    #: All rows are asked if that leaves more than this share of what a sum may miss to intercepts.
    intercept_gain: float = 0.1
    #: The least mean curvature of a class.
    least_curvature: float = 1e-12
    #: What is added to the unit diagonal of a matrix, for directions that change no logit have no
    #: curvature.
    jitter: float = 1e-12
    #: The same without a penalty, where rounding moves coefficients along directions that change
    #: next to no logit.
    jitter_unpenalised: float = 1e-8
    #: What is added at first to a diagonal for which that was too little.
    first_added: float = 1e-10


@dataclass(frozen=True)
class DecrementCosts:
    """The Newton decrement."""

    #: Hessian products in one sum of the decrement, at most.
    products: int = 1000
    #: The part of the gap that a sum may miss and still count as settled. The Newton step taken at
    #: the end is as exact, which decides how many digits of coefficients agree.
    missing: float = 1e-4
    #: The same in fits that are only scored: digits take three quarters of the time.
    missing_scored: float = 5e-2
    #: The part of the gap that an estimate for X in float32 may miss.
    missing_single: float = 1e-2
    #: The part of the gap that an estimate during a method of SciPy may miss, whose last point is
    #: farther away.
    missing_scipy: float = 1e-6
    #: What the bound of what is missing may be, as a multiple of the root of what may be missing.
    missing_bound: float = 10
    #: The square of a residual, in proportion, that is small.
    solved: float = 1e-8
    #: The power of the precision that the square of a residual must reach, in proportion, if no
    #: bound of what is missing is known.
    solved_without_bound: float = 0.75
    #: The power of the precision at which rounding takes the rest of the square of a residual.
    rounded_away: float = 1.5
    #: Products in a row that gain nothing but rounding, after which no more is to be had.
    stagnant: int = 30
    #: What such products gain at most, as a share of all.
    stagnant_gain: float = 1e-13
    #: Eigenvalues of whitened features are about this, of rows of norm 1 smaller.
    typical_eigenvalue: float = 1.0


@dataclass(frozen=True)
class NewtonCosts:
    """Newton's method, and methods of SciPy."""

    #: Conjugate gradients end once an iteration gains less than this share of the average gain of
    #: an iteration. With 0.2 letter took as long, and text with C = 100 half as long again.
    truncation: float = 0.05
    #: The same share, as a multiple of the relative error of the quadratic model in the last step:
    #: an exact model is worth solving further. Text with C = 1 took 13 products and 6 iterations
    #: less.
    truncation_per_error: float = 3
    #: Conjugate gradients end, if columns are only scaled, once a step promises to gain this many
    #: times F. With 1 text with C = 100 took half as many passes again; without, word counts with
    #: C = 100 gained nothing in 755 passes.
    credible: float = 4
    #: A step must gain at least this share of what the slope promises (the Armijo condition).
    enough: float = 1e-4
    #: Lengths that a line search tries at most.
    backtracks: int = 20
    #: The minimum along a Newton step is looked for if the slope at its end is more than this
    #: share of that at its beginning. With 0.3 digits took 1.06 times as many passes.
    level: float = 0.5
    #: Points at which that is looked for, at most.
    searches: int = 4
    #: Another step that gains more than this share of what the slope promises is lengthened.
    straight: float = 0.75
    #: If a step with the Hessian of a sample leaves more than this share of the gap, the next
    #: sample is larger.
    sample_left: float = 0.3
    #: Fits on a path that tell where it leads: coefficients are guessed by a polynomial in log C
    #: through them.
    path_fits: int = 3
    #: Pairs that L-BFGS keeps.
    pairs: int = 10
    #: Its iterations after which what is left must be less than `falls` of what was.
    slow_after: int = 8
    #: The share of F by which the end of a step of its may climb.
    climbs: float = 0.25
    #: Newton's method takes over once L-BFGS sees less than this share of the gap that matters,
    #: which may be four times as large.
    handed_over: float = 0.25
    #: Iterations of L-BFGS after which its variables are scaled by the curvature of each class. At
    #: every iteration that took as many passes, and half a pass each time.
    scaled_after: tuple[int, ...] = (3, 6)
    #: Iterations of a method of SciPy before the variables may change, which makes it forget its
    #: past gradients.
    scipy_iterations: int = 100
    #: Iterations of a method of SciPy without a look at the gap, at most.
    scipy_wait: int = 15


@dataclass(frozen=True)
class EndCosts:
    """When a fit ends, and what it must stand."""

    #: The gap is at most this many times the decrement, which it is if the loss decays
    #: exponentially.
    margin: float = 2
    #: If the decrement falls by less than this factor, the geometric series of all that is to come
    #: is summed with this factor.
    slowest: float = 0.95
    #: Newton's method is fast if the decrement has fallen to this share of the last one.
    fast: float = 0.1
    #: If it has fallen to this share at once, no second look is needed.
    very_fast: float = 1e-3
    #: A decrement below this share of the gap that matters need not fall fast.
    far_below: float = 0.01
    #: But to this share of the last one.
    falls: float = 0.5
    #: A decrement below this many times the rounding of F need not fall at all.
    hidden: float = 10
    #: A last step must gain what it promised, but for this share: else the quadratic model, on
    #: which the estimate of the gap rests, does not hold.
    trusted: float = 0.1
    #: The quadratic model of a row holds as long as its logits move by no more than this.
    farthest: float = 1.0
    #: If losses decay exponentially a last step gains up to this share more than it promised, and
    #: the decrement does not fall fast. If the promise is far below the gap that matters other
    #: errors are rounding.
    decays: float = 0.5
    #: Below this share of the gap that matters no decay of losses can hide a gap that matters.
    negligible: float = 1e-6
    #: Line searches in a row that found nothing lower, after which a fit ends. One may be due to a
    #: bad L-BFGS memory, which a restart drops; a second one is due to rounding.
    failures: int = 2
    #: A line search counts as failed if this many iterations gained less than the gap that
    #: matters.
    patience: int = 30
    #: The limit of the work of a fit on small X, in multiplications of a large matrix product:
    #: about ten seconds.
    most_work: float = 7e10
    #: Time of a pass beside its multiplications, in multiplications.
    work_per_pass: float = 2.4e6
    #: Time of one logit beside its multiplications, in multiplications.
    work_per_logit: float = 240
    #: With L1 or bounds a fit is slow if this many iterations, after as many others, gained next
    #: to nothing.
    slow_iterations: int = 100
    #: Next to nothing, as a share of F.
    slow_gain: float = 1e-2
    #: Classes count as separated if some features have no penalty and the mean loss is below this.
    separable: float = 1e-12
    #: A start is compared with zeros if its mean loss is this many times that of zeros.
    far_off: float = 10
    #: A last step that changes no logit by more than this is no sign of separation.
    still: float = 0.1
    #: Logits of a start from zero for which separation is looked for as from zero, and how much
    #: nearer than the logarithm of `tol` those are that steps still move.
    in_sight: float = 4.0
    #: A direction proves separation if no row loses more than this, per unit of the farthest
    #: logit.
    loses_nothing: float = 1e-5
    #: Times that `tol` is divided by ten to tell separation from slow convergence.
    separation_rounds: int = 12
    #: Coefficients are named as growing if they move more than this share of the largest move.
    growing: float = 0.3
    #: The factor between temperatures. With 100, half of the problems tried lost their way.
    cooling: float = 10
    #: Gap to which the optimum at one temperature is found, as a share of what the temperature
    #: adds to F, at most.
    cool_gap: float = 0.1
    #: Iterations at one temperature, at most.
    cool_iterations: int = 30
    #: Hessian products for the last estimate of the gap of a fit that did not converge, at least.
    last_products: int = 20
    #: Newton steps, at most, after F is flat to rounding while its gradient is not.
    refinements: int = 5
    #: Rounding may hide a gap of this many times eps F: a logit has several terms, and each is
    #: rounded.
    hides: float = 100


@dataclass(frozen=True)
class WorkingSetCosts:
    """The working set of coefficients, with L1 or bounds."""

    #: Coefficients that join the working set at once, at least.
    fewest_join: int = 100
    #: All coefficients that would move join if they are no more than this.
    all_join: int = 500
    #: Rows of the sample that the Hessian is made from, per coefficient.
    rows_per_coefficient: int = 40
    #: Rows of that sample, at least.
    hessian_rows: int = 20_000
    #: Numbers in a block of rows of the matrix whose square is the Hessian.
    hessian_block: int = 2**19
    #: Runs of blocks, each of which adds up a Hessian of its own.
    hessian_runs: int = 4
    #: Bytes of a Hessian up to which there are so many runs; above, there are two.
    small_hessian: int = 2**22
    #: Bytes that the Hessian may take.
    hessian_bytes: int = 2**27
    #: Multiplications that the Hessian may cost, in products with it. Those of one large matrix
    #: product take far less time than the same number in products with vectors.
    worth_products: int = 1000
    #: The same, for every product that the last model took.
    worth_more: int = 30
    #: The limit of the work of models if X is small, in multiplications of small matrix products:
    #: some seconds.
    most_model_work: float = 1.5e10
    #: Numbers that a factor of the Hessian may have.
    factor_numbers: int = 2**22
    #: Multiplications that its QR decomposition may take.
    factor_work: float = 3e8
    #: Alternations in a model by an array, if a model by a factor can take over.
    few_steps: int = 30
    #: If columns without an intercept are more standard deviations than this away from zero, an
    #: array has lost what they differ in: its elements have only half of the digits for that.
    too_far: float = 1e5
    #: The first Levenberg damping, as a share of the curvature.
    first_damping: float = 1e-9
    #: The factor by which damping changes.
    damping_change: float = 10.0
    #: The largest damping that a step leaves to the next.
    largest_damping: float = 1e10
    #: Times that damping may grow within one step.
    most_dampings: int = 20
    #: Damping grows after a step that gained less than this share of what the model did.
    poor: float = 0.1
    #: Damping shrinks after a step that gained more than this share.
    good: float = 0.75
    #: Damping shrinks by the cube of the factor after a step that gained more than this share.
    very_good: float = 0.95


@dataclass(frozen=True)
class ModelCosts:
    """Models of the objective on the working set."""

    #: Alternations between coordinates and Newton steps, at most.
    model_steps: int = 100
    #: A model is solved if single coefficients may gain less than this share of the gap that
    #: matters.
    model_small: float = 1e-8
    #: If rounding ends the search, a model is solved if single coefficients may gain less than
    #: this share of the gap that matters.
    model_solved: float = 1e-2
    #: If more than the gap that matters was gained, single coefficients may gain this share of it.
    model_rough: float = 1e-3
    #: The same share if the Hessian is known by products, which are dear.
    model_rougher: float = 0.1
    #: What single coefficients may gain, as a share of the gap that matters, if X is so large that
    #: products with the Hessian are dear. With 1e-8 text with L1 took twice as many.
    model_fine: float = 1e-2
    #: Lengths that are tried along a step of a model, at most.
    model_tries: int = 20
    #: Added to the unit diagonal of the Hessian in Newton steps, from one try to the next.
    model_damping: tuple[float, ...] = (0.0, 1e-6, 1e-3, 1e-1)
    #: There is a next try if edges cut a step so short that it gains less than this share of its
    #: promise.
    model_enough: float = 0.1
    #: Added to the unit diagonal of the Hessian, which is zero along directions that change no
    #: logit.
    model_jitter: float = 1e-10
    #: Coefficients are nearly collinear if a pivot of the Hessian, with its unit diagonal, is less
    #: than this.
    model_collinear: float = 1e-4
    #: Proximal gradient steps between Newton steps.
    proximal_steps: int = 5
    #: Conjugate gradients in a model end once an iteration gains less than this share of the
    #: average gain of an iteration.
    model_truncation: float = 0.1
    #: Multiplications in the time of one call of NumPy.
    call_work: float = 1e5
    #: Calls of NumPy in the time that a pass over few rows takes beside its multiplications.
    calls_per_pass: int = 3
    #: Multiplications in the time of a step along one coefficient.
    coordinate_work: float = 6e3
    #: A Cholesky factor of size n takes n^3 multiplications of a matrix product, over this.
    cholesky_work: int = 10
    #: Products in one Newton step of a model, at most.
    model_products: int = 100
    #: Steps of an interior point, at most.
    interior_steps: int = 100
    #: Steps of an interior point after which it ends if the bound of what is left has not shrunk.
    interior_patience: int = 5
    #: Share of the way to the nearest edge that a step of an interior point goes.
    shy: float = 0.995
    #: An interior point ends if no more than this share of what was gained is left to gain.
    interior_rough: float = 1e-3
    #: An interior point ends if no more than this share of the gap that matters is left to gain.
    interior_small: float = 1e-8
    #: A model is solved if no more than this share of the gap that matters is left to gain.
    interior_solved: float = 0.5
    #: Least curvature of a part that no edge holds. Its rounding then moves it by a small share of
    #: its value, and it can still grow from one step to the next.
    free_curvature: float = 1e-13
    #: Corrections of the solution of a linear system by its residual.
    interior_refinements: int = 2
    #: Time of a step of an interior point beside its QR decomposition, in multiplications.
    interior_work: float = 1e6
    #: Singular values that count for a dual point, as shares of the largest; one set is tried after
    #: the other.
    dual_ranks: tuple[float, ...] = (1e-3, 1e-6, 1e-9, 1e-12)
    #: Times that coefficients which a dual point lets slope away from their edge are held.
    dual_steps: int = 12
    #: Rounding of a slope, as a share of the terms in it, in units of the precision.
    slope_terms: float = 4


@dataclass(frozen=True)
class Costs(
    DataCosts,
    ObjectiveCosts,
    VariableCosts,
    DecrementCosts,
    NewtonCosts,
    EndCosts,
    WorkingSetCosts,
    ModelCosts,
):
    """All constants of a fit."""


#: The constants of every fit, if no others are passed in.
DEFAULT = Costs()
