"""python make_model.py WEIGHTS FOLDER: saves a pyfunc model of these weights, from code."""

import sys

import mlflow.pyfunc

if __name__ == "__main__":
    weights, folder = sys.argv[1:]
    mlflow.pyfunc.save_model(
        folder,
        python_model="/opt/program/linear_model.py",
        artifacts={"weights": weights},
        pip_requirements=[],
    )
