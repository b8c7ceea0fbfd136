"""`python -m deployments` prints the path of this installation's prefect.yaml."""

from deployments import PREFECT_FILE

if __name__ == "__main__":
    print(PREFECT_FILE)
