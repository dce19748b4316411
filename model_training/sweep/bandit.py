"""The bandit policy, as Azure ML defines it, as a pure function. Knows nothing about processes or files.

An interval is one report of the primary metric. The policy is applied at every interval that is a multiple of
`evaluation_interval`, from `delay_evaluation` on. There a trial's best metric so far is held against the best of all
trials over the same number of intervals; greater is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model_training.jobs.spec import EarlyTermination

Curves = Mapping[int, Sequence[float]]  # trial number -> its primary metric, one value a report


def applies_at(policy: EarlyTermination, interval: int) -> bool:
    """Whether the policy looks at a trial after its `interval`-th report."""
    return interval >= max(1, policy.delay_evaluation) and interval % policy.evaluation_interval == 0


def stop_reason(policy: EarlyTermination, curves: Curves, trial: int, interval: int) -> str | None:
    """Why the trial should stop after its `interval`-th report, None if it should go on."""
    if not applies_at(policy, interval) or len(curves[trial]) < interval:
        return None
    own = max(curves[trial][:interval])
    best, leader = max((max(curve[:interval]), -number) for number, curve in curves.items() if curve)
    if policy.slack_factor is not None:
        bound = best / (1 + policy.slack_factor)
        rule = f"{best:.3g} / (1 + {policy.slack_factor:g})"
    else:
        slack = policy.slack_amount or 0.0
        bound = best - slack
        rule = f"{best:.3g} - {slack:g}"
    if own >= bound:
        return None
    return f"bandit: {own:.3g} after report {interval} is below {bound:.3g} = {rule}, the best of trial {-leader + 1}"


def first_stop(policy: EarlyTermination, curves: Curves, trial: int, checked: int) -> str | None:
    """The first reason among the reports after number `checked`."""
    for interval in range(checked + 1, len(curves[trial]) + 1):
        reason = stop_reason(policy, curves, trial, interval)
        if reason:
            return reason
    return None
