"""The thesis's table, reproduced: accuracy by epoch under its protocol, beside whole lesions held out."""
