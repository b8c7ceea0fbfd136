"""`python -m deployments` prints where this installation's prefect.yaml lies, to deploy it or to copy it."""

from deployments import PREFECT_FILE

if __name__ == "__main__":
    print(PREFECT_FILE)
