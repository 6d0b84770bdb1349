"""The objective: a loss on data plus a penalty, as a function of one vector."""
