"""Is a worker alive for every work pool of ours, and will anybody be told?"""

from __future__ import annotations

from deployments.automations import OURS
from deployments.doctor.server import Server
from deployments.up.deploy import APART, NIGHTLY, RETRAIN
from skinml.checkup.checks import Finding, failed, ok, warning

FITS = "gpu"
"""The pool whose worker may be off: a fit waits for it, or goes to the CPU pool if that was allowed."""


def check_workers(server: Server) -> Finding:
    """A worker is online for every work pool that our deployments use, and no pool is paused."""
    pools = sorted({str(one["work_pool_name"]) for one in server.deployments if one["work_pool_name"]})
    if not pools:
        return warning("no deployment of ours names a work pool", "skinml up, or prefect deploy --all")
    online: dict[str, int] = {}
    for pool in pools:
        if server.api.get(f"/work_pools/{pool}")["is_paused"]:
            return failed(f"work pool {pool} is paused", f"prefect work-pool resume {pool}")
        found = server.api.all(f"/work_pools/{pool}/workers/filter")
        online[pool] = sum(worker["status"] == "ONLINE" for worker in found)
    none = [pool for pool, number in online.items() if not number]
    said = ", ".join(f"{pool} {number}" for pool, number in online.items())
    mend = "; ".join(f"prefect worker start --pool {pool} --limit 1" for pool in none)
    if none == [FITS]:
        return warning(f"no worker is alive for work pool {FITS}: fits wait ({said})", mend)
    if none:
        return failed(f"no worker is alive for {', '.join(none)}: its runs become late ({said})", mend)
    pool_of = {str(one["name"]): one["work_pool_name"] for one in server.deployments}
    if RETRAIN in pool_of and pool_of[RETRAIN] == pool_of.get(NIGHTLY):
        return warning(f"{NIGHTLY} and {RETRAIN} are in one work pool ({said})", APART)
    return ok(f"workers alive: {said}")


def check_automations(server: Server) -> Finding:
    """Automations of ours are there and switched on."""
    found = [one for one in server.api.all("/automations/filter") if OURS in one["tags"]]
    mend = "SKINML_NOTIFY=... python -m deployments automations (skinml up does it too)"
    if not any("tell of" in one["name"] for one in found):
        return warning("nobody is told of failed, late and drifted runs", mend)
    off = [str(one["name"]) for one in found if not one["enabled"]]
    if off:
        return warning(f"switched off: {', '.join(off)}", "switch them on in the UI, under Automations")
    return ok(f"{len(found)} automations")
