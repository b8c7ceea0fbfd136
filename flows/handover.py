"""Train a challenger: on a worker of the work pool `gpu` if there is one, otherwise in this process.

`tasks.handover` loads Prefect, so it is imported only in a run on a server.
"""

from __future__ import annotations

import logging

from flows.train import train
from skinml.errors import RunError
from skinml.requests.handover import GPU_POOL, HERE, HandoverRequest
from skinml.requests.training import TrainRequest
from tasks.orchestration import under_prefect

logger = logging.getLogger("skinml.handover")


def check_handover(options: HandoverRequest) -> None:
    """Refuse a work pool that does not exist, before a run begins.

    Raises:
        RequestError: in one line, with what to do.
    """
    if options.train_on not in (None, HERE) and under_prefect():
        from tasks import handover

        handover.refuse_unknown_pool(str(options.train_on))


def train_challenger(workspace: str, request: TrainRequest, options: HandoverRequest) -> str:
    """Train a model, wherever the options say, and return its version.

    Args:
        workspace: normalised URL.
        request: what to train. `requested_by` must name the run that asks.
        options: which work pool, how long to wait for its workers, and what to do if none comes.

    Raises:
        RunError: the training failed, or no worker came and `train_fallback` is none.
    """
    pool = _pool(options)
    if pool is None:
        return _here(workspace, request)
    from tasks import handover

    handed = handover.hand_over(workspace, request, pool, options.worker_wait)
    if handed.outcome == "trained":
        return str(handed.model_version)
    if handed.outcome == "failed" or options.train_fallback == "none":
        raise handover.fail(handed)
    logger.warning("%s: training here, without that pool", handed.said)
    return _here(workspace, request)


def _pool(options: HandoverRequest) -> str | None:
    """The work pool to hand over to; None to train here. Says why."""
    name = options.train_on or GPU_POOL
    if name == HERE:
        return None
    if not under_prefect():
        logger.info("training here: without a Prefect server there is no work pool to hand over to")
        return None
    from tasks import handover

    found = handover.look_at_pool(name)
    if found is None:
        if options.train_fallback == "none":
            raise RunError(
                f"the Prefect server does not answer, so nobody of the pool {name} can train; run again"
            )
        logger.warning("training here, without the work pool %s", name)
        return None
    if options.train_on is None and (not found.workers or handover.pool_of_deployment() != name):
        logger.info("training here: no worker has ever served the work pool %s", name)
        return None
    if not found.online:
        logger.warning(
            "no worker of the work pool %s is alive: waiting %g s for one, then %s",
            *(name, options.worker_wait),
            "training here" if options.train_fallback == "cpu" else "giving up",
        )
    return name


def _here(workspace: str, request: TrainRequest) -> str:
    return str(train.fn(workspace, request)["model_version"])
