"""The constants of a fit: limits of its cost, and thresholds for what is worth its cost.

They were chosen by measurement. They change results only by rounding, within `tol`. Tests and
benchmarks pass other values: `Costs` is an attribute of the data, where all code reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DataCosts:
    """How rows are read."""

    #: Numbers in a block of logits. With half as many, a pass took 1.1 times as long on 26 and 50
    #: classes. With twice as many it took 0.9 to 1 times as long, but float64 logits no longer fit
    #: into the second-level cache.
    block: int = 2**16
    #: The fewest and the most rows of such a block. With one class, more than 8192 gain nothing.
    rows_per_block: tuple[int, int] = (512, 8192)
    #: Numbers in a block of logits of CSR. Each block needs an array of the size of W for its sum.
    csr_block: int = 2**20
    #: Rows that are read to decide whether columns are far from zero.
    rows_for_centre: int = 1000
    #: Columns of float32 are far from zero if their means are more standard deviations than this
    #: away from zero, which costs two digits.
    far_single: float = 100
    #: The same for float64, which costs three digits.
    far_double: float = 1000
    #: X is small if it has fewer bytes than this. Then float32 is read as float64, and the work of
    #: a fit is limited.
    few_bytes: int = 2**23
    #: The fewest bytes of sparse rows for which rounding to float32 is worth it.
    worth_rounding: int = 2**20
    #: Numbers of sparse rows that are read to decide whether all fit into float32.
    numbers_for_size: int = 1000
    #: The largest number that is rounded to float32. Products must not overflow.
    fits_single: float = 1e9
    #: Blocks are kept after reading if X, and its logits, have at most this many numbers.
    kept_blocks: int = 2**16
    #: The most runs of blocks that threads share.
    spans: int = 16
    #: Multiplications that are worth a second run.
    work_per_span: int = 2**23
    #: Bytes that the sums of all runs may take.
    partial_sums: int = 2**26
    #: Bytes of rows of a file or a store that are in memory at a time. A table with at most this
    #: many bytes is read whole. So are integers and float16 in memory converted whole.
    part_bytes: int = 2**25
    #: Rows of a block on another device. Sums over a block have its type of number.
    device_rows: int = 2**13
    #: Share of the free memory of a device that a block, or the kept data of a fit, may take.
    device_share: float = 1 / 40
    #: The fewest bytes of rows, or of a matrix, for which computing on another device is worth the
    #: overhead of the calls.
    worth_device: int = 2**20
    #: Sums of chunks that one task of Dask adds up.
    fan_in: int = 32
    #: Numbers in a block of logits of a prediction.
    predicted_block: int = 2**22


@dataclass(frozen=True)
class ObjectiveCosts:
    """The objective."""

    #: Rows in a block that is searched for classes without mass. Most targets have no such class,
    #: and the first block shows it.
    certain_rows: int = 4096
    #: Distance along a direction at which losses are linear, up to rounding.
    far_along: float = 1e9
    #: The most units in the last place by which a coefficient changes to compensate for the
    #: rounding of an intercept.
    last_bits: int = 4
    #: Time of an operation with sparse rows, as a multiple of one with dense rows.
    sparse_time: int = 5
    #: Bytes of probabilities that a Hessian may keep.
    kept_probabilities: int = 2**25


@dataclass(frozen=True)
class VariableCosts:
    """Changes of variables."""

    #: Rows to estimate means and covariances. They were as good as all of 300 000.
    moment_rows: int = 20_000
    #: The same for probes: rows for each column, and the fewest rows. With 10 rows for each column,
    #: clusters with C = 100 took twice as many passes.
    moment_rows_per_column: int = 20
    fewest_moment_rows: int = 4000
    #: The covariance is computed in float32 if its trace, as curvature, is at most this many times
    #: the penalty. Its rounding is then at most 2 % of any eigenvalue.
    mild: float = 1e5
    #: Rows in a block for a matrix of products of columns.
    matrix_rows: int = 2048
    #: The most parameters for which the whole Hessian is computed at every point. It is more if
    #: rows are read in pieces.
    joint_size: int = 128
    #: The most multiplications for that Hessian.
    joint_work: int = 2**21
    #: Bytes that the whole Hessian may take.
    joint_bytes: int = 2**24
    #: Numbers in a block of rows of the factor of the whole Hessian.
    joint_block: int = 2**21
    #: The most columns, or rows, for which a dense matrix of their products is worth its cost.
    whiten_up_to: int = 1000
    #: The most numbers in X for which few rows are whitened by rows.
    row_numbers: int = 2**23
    #: Columns have about the same size if their curvatures differ by at most this factor.
    common: float = 1e4
    #: The most columns for which a dense matrix of their products is worth its cost after conjugate
    #: gradients have taken long.
    whiten_late: int = 3000
    #: Operations of such a matrix in the time of one operation of a Hessian product, with dense and
    #: with sparse rows.
    whiten_worth: tuple[int, int] = (2, 10)
    #: Columns are scaled by this power of their curvature. 1 makes the curvature of all columns
    #: equal, and 0 does not change it. With 0.5 and 0.8 text took up to a fifth more passes.
    column_power: float = 0.65
    #: After scaling, the curvature of a column is that of most columns within this factor.
    spread: float = 1e5
    #: The fewest passes of an iteration for which the curvature of columns is computed again.
    worth_rescaling: int = 4
    #: The fewest multiplications in a pass for which a sample of the rows is worth its copy.
    worth_sampling: int = 2**22
    #: The most bytes of a sample, unless the parameters need more rows.
    sample_bytes: int = 2**25
    #: The share of the rows that a sample may have if the parameters need more rows.
    sample_share: float = 1 / 8
    #: Rows per parameter of a sample, so that its optimum is a good start and its Hessian gives
    #: good steps.
    rows_per_parameter: int = 40
    #: Bytes that the matrices of all classes may take.
    class_bytes: int = 2**24
    #: The most columns for which Newton's method with such matrices is faster than L-BFGS without
    #: them. On digits, with 64 columns, it took half of the passes. On tables and clusters of 100
    #: columns it took twice to three times as many.
    class_columns: int = 88
    #: The fewest multiplications for the matrices of some classes that are worth a step of their
    #: own.
    class_block: int = 2**20
    #: Rows with less than this share of the mean curvature are left out of the matrix of a class.
    #: If classes are nearly separated, these are most rows. Together they have about 1 % of the
    #: curvature.
    little_curvature: float = 0.03
    #: If the matrix without these rows, scaled to a unit diagonal, has a smaller eigenvalue than
    #: this, they are not left out.
    lost_curvature: float = 1e-3
    #: Ratio of the bound of what conjugate gradients miss to what they miss in whitened variables,
    #: for X in float32. With 1, overlapping embeddings with C = 1e4 took a quarter more passes.
    trust: float = 10
    #: The smallest mean square of a column that does not lose digits by underflow.
    smallest_square: float = 1e-305
    #: A column is constant if its standard deviation is less than this share of its mean. The
    #: standard deviation is then rounding.
    constant: float = 1e-14
    #: Variances below this share of the largest, times the number of columns, are rounding.
    collinear: float = 10 * float(np.finfo(np.float64).eps)
    #: If the sizes of columns differ by more than this ratio, a simple basis loses the small
    #: columns.
    graded: float = 1e5
    #: Operations for the eigenvectors of a matrix, as a multiple of the cube of its size, in the
    #: time of operations of a Hessian product.
    eigenvectors: int = 5
    #: The curvature of intercepts is first computed from one in this many rows, then from more.
    intercept_parts: tuple[int, ...] = (64, 8)
    #: The fewest rows of that first computation.
    intercept_rows: int = 500
    #: All rows are used if the intercepts, with some rows, have more than this share of what a sum
    #: may miss.
    intercept_gain: float = 0.1
    #: The smallest mean curvature of a class.
    least_curvature: float = 1e-12
    #: Added to the unit diagonal of a matrix, because directions that change no logit have no
    #: curvature.
    jitter: float = 1e-12
    #: The same without a penalty. Rounding then moves coefficients along directions that hardly
    #: change any logit.
    jitter_unpenalised: float = 1e-8
    #: The first number that is added to a diagonal if that was too little.
    first_added: float = 1e-10


@dataclass(frozen=True)
class DecrementCosts:
    """The Newton decrement."""

    #: The most Hessian products in one sum of the decrement.
    products: int = 1000
    #: A sum has converged if it misses at most this part of the gap. The last Newton step has the
    #: same accuracy, which determines how many digits of the coefficients are exact.
    missing: float = 1e-4
    #: The same in fits that are only scored: exact digits would take three quarters of the time.
    missing_scored: float = 5e-2
    #: The part of the gap that an estimate for X in float32 may miss.
    missing_single: float = 1e-2
    #: The part of the gap that an estimate during a method of SciPy may miss. The last point of
    #: such a method is farther away.
    missing_scipy: float = 1e-6
    #: The largest bound of the missing part, as a multiple of the root of what may be missing.
    missing_bound: float = 10
    #: The square of a residual is small if it is below this share of its start.
    solved: float = 1e-8
    #: If no bound of the missing part is known, the square of a residual must fall to this power
    #: of the precision, as a share of its start.
    solved_without_bound: float = 0.75
    #: The power of the precision at which the rest of the square of a residual is rounding.
    rounded_away: float = 1.5
    #: Conjugate gradients end after this many products in a row that gain only rounding.
    stagnant: int = 30
    #: The largest gain of such a product, as a share of the total gain.
    stagnant_gain: float = 1e-13
    #: Typical eigenvalue of whitened features. With rows of norm 1 eigenvalues are smaller.
    typical_eigenvalue: float = 1.0


@dataclass(frozen=True)
class NewtonCosts:
    """Newton's method, and methods of SciPy."""

    #: Conjugate gradients end if an iteration gains less than this share of the average gain of
    #: an iteration. With 0.2 letter took as long, and text with C = 100 took 1.5 times as long.
    truncation: float = 0.05
    #: The same share, as a multiple of the relative error of the quadratic model in the last step:
    #: an exact model is worth solving further. Text with C = 1 took 13 products and 6 iterations
    #: less.
    truncation_per_error: float = 3
    #: If columns are only scaled, conjugate gradients end once the predicted gain of a step is this
    #: many times F. With 1, text with C = 100 took 1.5 times as many passes. Without a limit, word
    #: counts with C = 100 gained nothing in 755 passes.
    credible: float = 4
    #: A step must gain at least this share of what the slope predicts (the Armijo condition).
    enough: float = 1e-4
    #: The most step lengths that a line search tries.
    backtracks: int = 20
    #: The minimum along a Newton step is searched for if the slope at its end is more than this
    #: share of the slope at its beginning. With 0.3 digits took 1.06 times as many passes.
    level: float = 0.5
    #: The most points of this search.
    searches: int = 4
    #: Other steps are lengthened if they gain more than this share of what the slope predicts.
    straight: float = 0.75
    #: If a step with the Hessian of a sample leaves more than this share of the gap, the next
    #: sample is larger.
    sample_left: float = 0.3
    #: The next coefficients on a path are extrapolated by a polynomial in log C through the last
    #: fits, at most this many.
    path_fits: int = 3
    #: Pairs of steps and gradient changes that L-BFGS keeps.
    pairs: int = 10
    #: The same for scaled columns, whose vectors are long. With 10 docstrings with C = 100
    #: took 155 passes to 7e-5, with 5 160, and by Newton's method alone 451.
    few_pairs: int = 5
    #: The last pairs of a fit with which the next fit on a path begins. With 10, a path of 45 fits
    #: took as many passes.
    pairs_of_earlier: int = 4
    #: In this many iterations of L-BFGS the estimate of the gap must fall to less than `falls`
    #: times its old value.
    slow_after: int = 8
    #: As many estimates as this count as the old value: the largest of them.
    estimates: int = 3
    #: The fewest multiplications with dense rows for a logit with which a length for each class is
    #: worth its cost. With 12 and 22 numbers in each sparse row, which take as long as 60 and 110,
    #: fits took fewer passes and as long.
    worth_lengths: int = 150
    #: The same for classes. Embeddings (30 000, 512) with 10 classes took 1.1 times as long.
    fewest_lengths: int = 15
    #: Bytes that logits at a point and along a step may take, or the same as a divisor of the bytes
    #: of X, if that is more.
    kept_logits: int = 2**26
    part_of_rows: int = 16
    #: Rows of a sample for each class, and the fewest. With 11 rows for each of 1000 classes fits
    #: took as long as without lengths, with 22 half as long.
    rows_per_class: int = 200
    fewest_rows_per_class: int = 20
    #: The search for lengths along a step ends if an iteration gains less than this share of F.
    #: Without more iterations, classes that are well apart were separated by the first steps, with
    #: far too large coefficients: (5120, 512, 100) with C = 100 then took 380 passes for 14.
    length_gain: float = 0.05
    #: It also ends if an iteration gains at most this share of the gap that matters. With 0 a path
    #: of 45 fits, which begin near their optimum, took 1.2 times as long.
    negligible_length: float = 0.1
    #: The fewest iterations of this search, and the most values of F: in all, and in an iteration,
    #: as rounding may hide whether F falls.
    length_iterations: int = 3
    length_values: int = 20
    length_tries: int = 3
    #: The largest shift of an intercept. It makes a class ten million times less probable.
    largest_shift: float = 16.0
    #: If these lengths gain less than this share of what the slope predicts, a whole step is tried.
    enough_by_lengths: float = 0.1
    #: The share of the penalty in F above which all coefficients are halved.
    mostly_penalty: float = 0.95
    #: Added to the unit diagonal of the curvature of lengths.
    added_to_lengths: float = 1e-4
    #: Iterations of L-BFGS after which its variables are scaled by the curvature of each class.
    #: Scaling at every iteration took as many passes, and half a pass more each time.
    scaled_after: tuple[int, ...] = (3, 6)
    #: If a Newton step in scaled columns takes more passes than this, and F then falls by more than
    #: `far_from_optimum` times its value, L-BFGS goes on. With 12 text with C = 100 took a few more
    #: passes.
    dear_step: int = 15
    far_from_optimum: float = 0.1
    #: L-BFGS goes on in scaled columns if F has fallen by more than `lbfgs_gain` times its value in
    #: this many iterations, or if it needs at most `worth_newton` more. With 0, text with C = 100
    #: took twice as many passes. With 60 docstrings with C = 100 took as many as with 30.
    lbfgs_iterations: int = 10
    lbfgs_gain: float = 0.05
    worth_newton: int = 40
    #: Iterations of L-BFGS after which columns are scaled by their curvature. Without this, text
    #: with C = 100 took a quarter more passes.
    rescaled_after: tuple[int, ...] = (6, 20)
    #: Iterations of a method of SciPy before the variables may change. A change makes the method
    #: forget its past gradients.
    scipy_iterations: int = 100
    #: The most iterations of a method of SciPy without an estimate of the gap.
    scipy_wait: int = 15


@dataclass(frozen=True)
class EndCosts:
    """The end of a fit, and what a fit must withstand."""

    #: The gap is at most this many times the decrement. It is that large if the loss decays
    #: exponentially.
    margin: float = 2
    #: If the decrement falls by less than this factor, the geometric series of later decrements is
    #: summed with this factor.
    slowest: float = 0.95
    #: Newton's method is fast if the decrement has fallen to this share of the last one.
    fast: float = 0.1
    #: If it has fallen to this share in one step, it is not checked a second time.
    very_fast: float = 1e-3
    #: If it is below this share of the gap that matters, it need not fall fast.
    far_below: float = 0.01
    #: But it must fall to this share of the last one.
    falls: float = 0.5
    #: A decrement below this many times the rounding of F need not fall at all.
    hidden: float = 10
    #: The gain of a last step may differ from its predicted gain by this share. Otherwise the
    #: quadratic model, on which the estimate of the gap rests, does not hold.
    trusted: float = 0.1
    #: The quadratic model of a row holds if its logits move by at most this.
    farthest: float = 1.0
    #: If losses decay exponentially, a last step gains up to this share more than predicted, and
    #: the decrement does not fall fast. If the prediction is far below the gap that matters, other
    #: errors are rounding.
    decays: float = 0.5
    #: Below this share of the gap that matters, no decay of losses can hide a gap that matters.
    negligible: float = 1e-6
    #: A fit ends after this many line searches in a row that found nothing lower. The first may
    #: fail because of bad L-BFGS pairs, which a restart drops. The second fails by rounding.
    failures: int = 2
    #: A line search counts as failed if this many iterations gained less than the gap that
    #: matters.
    patience: int = 30
    #: The limit of the work of a fit on small X, in multiplications of a large matrix product:
    #: about ten seconds.
    most_work: float = 7e10
    #: Overhead of a pass, in multiplications.
    work_per_pass: float = 2.4e6
    #: Overhead of one logit, in multiplications.
    work_per_logit: float = 240
    #: With L1 or bounds a fit is slow if this many iterations, after as many others, gained less
    #: than `slow_gain`.
    slow_iterations: int = 100
    #: The gain of these iterations, as a share of F.
    slow_gain: float = 1e-2
    #: Classes count as separated if some features have no penalty and the mean loss is below this.
    separable: float = 1e-12
    #: A start is compared with zeros if its mean loss is this many times that of zeros.
    far_off: float = 10
    #: The last moves that are kept to see separation.
    moves: int = 6
    #: If the last step changes no logit by more than this, it is no sign of separation.
    still: float = 0.1
    #: A start is kept if its unpenalised coefficients move no logit by more than this, or by more
    #: than minus the logarithm of `tol` less this. Steps from there still move rows that are
    #: separated.
    in_sight: float = 4.0
    #: A direction proves separation if no row loses more than this, per unit of the farthest
    #: logit.
    loses_nothing: float = 1e-5
    #: `tol` is divided by ten this many times to tell separation from slow convergence.
    separation_rounds: int = 12
    #: Coefficients are named as growing if they move more than this share of the largest move.
    growing: float = 0.3
    #: The factor between temperatures. With 100, fits of half of the problems tried went astray.
    cooling: float = 10
    #: The largest gap of the optimum at one temperature, as a share of the largest number that the
    #: temperature adds to F.
    cool_gap: float = 0.1
    #: The factor between the stronger penalties that a fit with L1 may solve first. With 3,
    #: docstrings took 1.2 times as long. Without them, C = 1000 took five times as long.
    relaxing: float = 20
    #: The most rows for each column for which stronger penalties are solved first. With more rows,
    #: they took as long as they saved.
    relaxing_rows: float = 4
    #: They are also solved only if at least this share of the coefficients would move. With less,
    #: text with 20 classes and C = 10 took 1.4 times as long.
    relaxing_share: float = 0.85
    #: The most iterations at one temperature, or at one of these penalties.
    cool_iterations: int = 30
    #: The fewest Hessian products for the last estimate of the gap of a fit that did not converge.
    last_products: int = 20
    #: The most Newton steps after F is constant up to rounding, but its gradient is not zero.
    refinements: int = 5
    #: Rounding may hide a gap of this many times eps F: a logit has several terms, and each is
    #: rounded.
    hides: float = 100


@dataclass(frozen=True)
class WorkingSetCosts:
    """The working set of coefficients, with L1 or bounds."""

    #: The fewest coefficients that join the working set at once.
    fewest_join: int = 100
    #: If at most this many coefficients would move, all of them join.
    all_join: int = 500
    #: Rows per coefficient of the sample for the Hessian.
    rows_per_coefficient: int = 40
    #: The fewest rows of that sample.
    hessian_rows: int = 20_000
    #: Numbers in a block of rows of the matrix whose square is the Hessian.
    hessian_block: int = 2**19
    #: Runs of blocks. Each run adds up a Hessian of its own.
    hessian_runs: int = 4
    #: The most bytes of a Hessian for which there are that many runs. With more, there are two.
    small_hessian: int = 2**22
    #: The most bytes of the Hessian.
    hessian_bytes: int = 2**27
    #: The most multiplications for the Hessian, in products with it. In one large matrix product
    #: they take far less time than the same number in products with vectors.
    worth_products: int = 1000
    #: The same, for every product that the last model took.
    worth_more: int = 30
    #: The limit of the work of models if X is small, in multiplications of small matrix products:
    #: some seconds.
    most_model_work: float = 1.5e10
    #: What each coefficient adds to this limit.
    model_work_per_coefficient: float = 5e6
    #: The most numbers in a factor of the Hessian.
    factor_numbers: int = 2**22
    #: The most multiplications of its QR decomposition.
    factor_work: float = 3e8
    #: Alternations in a model that has the Hessian as an array, if a model that has a factor of it
    #: can take over.
    few_steps: int = 30
    #: Without an intercept, columns may be at most this many standard deviations away from zero for
    #: an array. Beyond that it has lost the differences of the columns: its elements have only half
    #: of the digits for these.
    too_far: float = 1e5
    #: The first Levenberg damping, as a share of the curvature.
    first_damping: float = 1e-9
    #: The factor by which damping changes.
    damping_change: float = 10.0
    #: The largest damping that a step passes to the next step.
    largest_damping: float = 1e10
    #: Damping may grow this many times within one step.
    most_dampings: int = 20
    #: Damping grows after a step that gained less than this share of the gain of the model.
    poor: float = 0.1
    #: Damping shrinks after a step that gained more than this share.
    good: float = 0.75
    #: Damping shrinks by the cube of its factor after a step that gained more than this share.
    very_good: float = 0.95


@dataclass(frozen=True)
class ModelCosts:
    """Models of the objective on the working set."""

    #: The most alternations between coordinates and Newton steps.
    model_steps: int = 100
    #: A model is solved if single coefficients may gain less than this share of the gap that
    #: matters.
    model_small: float = 1e-8
    #: The same if coefficients at an edge are in doubt, because they may be nearly collinear.
    model_doubt: float = 1e-14
    #: If rounding ends the search, a model is solved if single coefficients may gain less than
    #: this share of the gap that matters.
    model_solved: float = 1e-2
    #: If more than the gap that matters was gained, single coefficients may gain this share of it.
    model_rough: float = 1e-3
    #: The same share if the Hessian is known only by products, which are expensive.
    model_rougher: float = 0.1
    #: If the Hessian is known only by products: the most that single coefficients may gain, as a
    #: share of the gap that matters. With 1e-8 text with L1 took twice as many products.
    model_fine: float = 1e-2
    #: If the Hessian is known only by products, the last Newton step of a model is solved up to
    #: this share of the gap that matters, with this many products at most. Nearly collinear
    #: coefficients show only then.
    model_accuracy: float = 1e-4
    accurate_products: int = 200
    #: That is done if the model gains less than this share of the gap that matters. Until then the
    #: model does not count as solved.
    model_last: float = 0.1
    #: If this many products take little time, it is always done, and up to `model_small`.
    cheap_products: int = 1000
    #: The most lengths that are tried along a step of a model.
    model_tries: int = 20
    #: Added to the unit diagonal of the Hessian in Newton steps, one number for each try.
    model_damping: tuple[float, ...] = (0.0, 1e-6, 1e-3, 1e-1)
    #: The next number is tried if edges cut a step so short that it gains less than this share of
    #: its predicted gain.
    model_enough: float = 0.1
    #: Added to the unit diagonal of the Hessian, which is zero along directions that change no
    #: logit.
    model_jitter: float = 1e-10
    #: Coefficients are nearly collinear if a pivot of the Hessian, with its unit diagonal, is less
    #: than this.
    model_collinear: float = 1e-4
    #: Proximal gradient steps between Newton steps.
    proximal_steps: int = 5
    #: Conjugate gradients in a model end if an iteration gains less than this share of the average
    #: gain of an iteration.
    model_truncation: float = 0.1
    #: Multiplications in the time of one call of NumPy.
    call_work: float = 1e5
    #: Overhead of a pass over few rows, in calls of NumPy.
    calls_per_pass: int = 3
    #: What each part of a file, chunk of Dask, and block on a device adds to this.
    calls_per_piece: int = 30
    #: Multiplications in the time of a step along one coefficient.
    coordinate_work: float = 6e3
    #: A Cholesky factor of size n takes the time of n^3 multiplications of a matrix product,
    #: divided by this.
    cholesky_work: int = 10
    #: The most products in one Newton step of a model.
    model_products: int = 100
    #: The most steps of an interior-point method.
    interior_steps: int = 100
    #: An interior-point method ends if the bound of what is left has not shrunk in this many steps.
    interior_patience: int = 5
    #: The largest share of the way to the nearest edge in a step of an interior-point method.
    shy: float = 0.995
    #: An interior-point method ends if at most this share of the total gain is left to gain.
    interior_rough: float = 1e-3
    #: An interior-point method ends if at most this share of the gap that matters is left to gain.
    interior_small: float = 1e-8
    #: A model is solved if at most this share of the gap that matters is left to gain.
    interior_solved: float = 0.5
    #: The smallest curvature of a part without an edge. Rounding then moves the part by a small
    #: share of its value, and it can still grow from one step to the next.
    free_curvature: float = 1e-13
    #: Corrections of the solution of a linear system by its residual.
    interior_refinements: int = 2
    #: Time of a step of an interior-point method without its QR decomposition, in multiplications.
    interior_work: float = 1e6
    #: The smallest singular values that count for a dual point, as shares of the largest. They are
    #: tried one after the other.
    dual_ranks: tuple[float, ...] = (1e-3, 1e-6, 1e-9, 1e-12)
    #: How many times coefficients are held if a dual point lets them slope away from their edge.
    dual_steps: int = 12
    #: Rounding of a slope, as a share of the terms in it, in units of the precision.
    slope_terms: float = 4
    #: Rounding of a residual because its logit is rounded, as a multiple of rounding of itself.
    rounded_logits: float = 1e3


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
