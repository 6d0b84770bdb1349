"""How it is minimised: steps, the variables that they are in, the stopping rule, the report."""
