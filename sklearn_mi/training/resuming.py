"""The whole state of a net in training, in the middle of a pass, too; and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skorch.callbacks import Callback, EpochTimer

from sklearn_mi._base import InvalidModelError
from sklearn_mi.rows import StreamOrder
from sklearn_mi.training.state_files import can_hold

if TYPE_CHECKING:
    from sklearn_mi.training.net import MINet

__all__ = ["load_state", "resume_callbacks", "state_of"]


def state_of(net: MINet) -> dict[str, Any]:
    """Return everything that later steps depend on, and what ``history_`` holds.

    Parameters
    ----------
    net : MINet

    Returns
    -------
    state : dict
    """
    records = list(net.history)
    within = net.losses_ is not None
    return {
        "weights": net.changing_weights(),
        "requires_grad": [weight.requires_grad for weight in net.module_.parameters()],
        "optimizer": net.optimizer_.state_dict(),
        "order": _told(net),
        # Of each process: they draw for their own rows.
        "view_generator": net.team.everyone(net.view_generator.get_state()),
        "randomness": net.team.everyone(net.randomness and net.randomness.current()),
        "common": net.model.common and net.model.common.get_state(),
        "scheduler": None if net.scheduler_ is None else net.scheduler_.state_dict(),
        "steps": net.steps_,
        "finished": net.is_finished_,
        # A pass that is not over has no record yet but those of its batches.
        "history": records[:-1] if within else records,
        "losses": net.losses_,
        "batches": records[-1]["batches"] if within else [],
        "callbacks": _states_of_callbacks(net),
    }


def _told(net: MINet) -> Any:
    """Return where the rows stand; of each process if each reads its own."""
    state = net.order.state_dict()
    return net.team.everyone(state) if _is_split(net) else state


def _is_split(net: MINet) -> bool:
    return isinstance(net.order, StreamOrder) and net.order.is_split


def _place_here(net: MINet, told: Any) -> Any:
    """Return where the rows of this process stand.

    Raises
    ------
    InvalidModelError
        If the rows were shared by other processes than now: nobody knows then who read which.
    """
    there = len(told) if isinstance(told, list) else 0
    here = net.team.size if _is_split(net) else 0
    if there != here:
        raise InvalidModelError(
            f"The checkpoint was written where {_shared(there)}, but here {_shared(here)}; "
            "expected the same, as each goes on after the rows that it has read. Start as many "
            "processes with the same shares, or name another file."
        )
    return told[net.team.rank] if there else told


def _shared(n_shares: int) -> str:
    if not n_shares:
        return "each process reads all rows"
    return f"{n_shares} processes each read rows of their own"


def load_state(net: MINet, state: dict[str, Any]) -> None:
    """Set a net that was just made to a state; callbacks follow, once training begins.

    Parameters
    ----------
    net : MINet
    state : dict

    Raises
    ------
    InvalidModelError
        If each of several processes reads rows of its own, and they were not as many.
    """
    place = _place_here(net, state["order"])
    net.module_.load_state_dict(state["weights"], strict=False)
    net.optimizer_.load_state_dict(state["optimizer"])
    net.order.load_state_dict(place)
    # Of more processes than there were, the others begin with draws of their own.
    if net.team.rank < len(state["view_generator"]):
        net.view_generator.set_state(state["view_generator"][net.team.rank])
        if net.randomness is not None:
            net.randomness.states = state["randomness"][net.team.rank]
    if net.model.common is not None and state["common"] is not None:
        net.model.common.set_state(state["common"])
    if net.scheduler_ is not None:
        net.scheduler_.load_state_dict(state["scheduler"])
    net.steps_, net.is_finished_ = state["steps"], state["finished"]
    net.take_history(state["history"])
    if state["callbacks"] is not None:
        net.resumed_ = state
    if net.is_finished_:
        resume_callbacks(net)


def resume_callbacks(net: MINet) -> None:
    """Set callbacks, and what they have changed, to the state that the net resumes from.

    Parameters
    ----------
    net : MINet
        After its callbacks have seen the beginning of training, which sets them back.
    """
    state, net.resumed_ = net.resumed_, None
    if state is None:
        return
    known = state["callbacks"]
    for name, callback in _with_state(net):
        _resume_callback(callback, known.get(name, {}))
    for weight, learns in zip(net.module_.parameters(), state["requires_grad"], strict=True):
        weight.requires_grad_(learns)
    # A schedule that a callback makes takes a step when it is made.
    kept = state["optimizer"]["param_groups"]
    for group, options in zip(net.optimizer_.param_groups, kept, strict=True):
        group.update({name: value for name, value in options.items() if name != "params"})


def _with_state(net: MINet) -> list[tuple[str, Callback]]:
    """Return the callbacks; seconds belong to no state."""
    return [(name, cb) for name, cb in net.callbacks_ if not isinstance(cb, EpochTimer)]


def _states_of_callbacks(net: MINet) -> dict[str, Any] | None:
    """Return what callbacks keep; None if the beginning of training sets them back anyway."""
    # Between the stops of fit_iter training begins anew, and before a first step they may hold
    # what an earlier fit has left in them.
    if net.keeper is None or not net.steps_:
        return None
    return {name: _state_of_callback(cb) for name, cb in _with_state(net)}


def _state_of_callback(callback: Any) -> dict[str, Any]:
    """Return what a callback keeps: its own state_dict, or attributes that end in ``_``.

    skorch tells them so: any other attribute is a parameter.
    """
    if hasattr(callback, "state_dict"):
        return {"own": callback.state_dict()}
    kept = {name: value for name, value in vars(callback).items() if name.endswith("_")}
    states = {name: v.state_dict() for name, v in kept.items() if _has_state(v)}
    plain = {name: v for name, v in kept.items() if name not in states}
    # What theirs and ours keep of another kind, such as a progress bar, they make anew.
    if type(callback).__module__.startswith(("skorch.", "sklearn_mi.")):
        plain = {name: value for name, value in plain.items() if can_hold(value)}
    return {"plain": plain, "states": states}


def _has_state(value: Any) -> bool:
    is_made = not isinstance(value, type)
    return is_made and hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def _resume_callback(callback: Any, state: dict[str, Any]) -> None:
    if "own" in state:
        callback.load_state_dict(state["own"])
        return
    vars(callback).update(state.get("plain", {}))
    for name, known in state.get("states", {}).items():
        made: Any = getattr(callback, name, None)
        if _has_state(made):
            made.load_state_dict(known)
