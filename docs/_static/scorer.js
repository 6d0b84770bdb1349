// How the search ranks what it finds: Sphinx's own numbers, and the classes for Dask below those for arrays.
var Scorer = {
  score: ([docname, , , , score]) => (docname.startsWith("generated/skce.dask.") ? score - 20 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
