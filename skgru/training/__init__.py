"""From parameters to a trained network: objective, solvers, schedules, history and callbacks."""
