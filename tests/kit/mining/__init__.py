"""Everything that mines: workers and Stratum servers as processes, miners as clients."""
