"""Storage of searches, TensorFlow-free: what is in a run's folder, written and read.

| name | what it holds |
|---|---|
| ``run.json`` | what made the run: schema, versions, machine, command, space, oracle, seed |
| ``config.yaml`` | the whole configuration, as resolved |
| ``trials/ID.json`` | one finished trial: genotype, rewards, figures, costs, times, end |
| ``trials.csv`` | the same as a table, one row a trial, in the order in which they ended |
| ``gate.jsonl`` | the gate's decisions, in order |
| ``weights/ID.npz`` | the trained arrays of the best few |
| ``ledger.jsonl``, ``oracle.json``, ``trial_ID/`` | the oracle's and KerasTuner's own |
"""

from nas_tf.runs.load import Run
from nas_tf.runs.record import Stage, TrialRecord

__all__ = ["Run", "Stage", "TrialRecord"]
