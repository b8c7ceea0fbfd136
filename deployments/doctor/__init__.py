"""`skinml doctor`: what is missing or misconfigured, and how to mend it. Asks the server over plain HTTP."""
