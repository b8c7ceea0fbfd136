"""How skinml is deployed: schedules, work pools, and what runs where."""
