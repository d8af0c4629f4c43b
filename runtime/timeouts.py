"""How long containers have to start and to stop, in seconds, on SageMaker and here."""

TRAIN_STOP_S = 120  # from SIGTERM to SIGKILL: StopTrainingJob in SageMaker's API reference
SERVE_STOP_S = 30  # from SIGTERM to SIGKILL: "How containers serve requests" in its guide
SERVE_START_S = 120  # from the start of a container on this machine to a /ping that answers 200
PING_S = 2.0  # for one answer of /ping, as SageMaker waits
