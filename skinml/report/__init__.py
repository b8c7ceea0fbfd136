"""What people look at: figures, worklists, pages."""
