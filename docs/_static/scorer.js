// How the search ranks what it finds. As in Sphinx, but a page of the guide comes before other pages with the same
// words, a heading before the name of an attribute, and the classes for arrays before those for Dask.
const places = { "guide/": 1, "generated/skce.dask.": -20 };

var Scorer = {
  score: ([docname, , , , score]) =>
    Object.entries(places).reduce((sum, [start, more]) => sum + (docname.startsWith(start) ? more : 0), score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
