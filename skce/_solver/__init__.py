"""The solver: steps, changes of variables, the stopping rule and the report."""
