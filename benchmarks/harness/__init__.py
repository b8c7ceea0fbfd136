"""What every benchmark uses: inputs, running and measuring programs, contests, records, tables and plots."""
