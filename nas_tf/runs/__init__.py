"""Storage of searches, TensorFlow-free: what is in a run's folder, written and read.

| name | what it holds |
|---|---|
| ``run.json`` | what made the run: schema, versions, machine, command, space, oracle, seed |
| ``config.yaml`` | the whole configuration, as resolved |
| ``trials/ID.json`` | one finished trial: genotype, rewards, figures, costs, times, end |
| ``trials.csv`` | the same as a table, one row a trial, in the order in which they ended |
| ``gate.jsonl`` | the gate's decisions, in order |
| ``weights/ID.npz`` | the trained arrays of the best few |
| ``samples.png`` | predictions of the best so far |
| ``tensorboard/`` | curves, figures by token and pictures, a folder a worker |
| ``report.html``, ``report/`` | what ``nas-tf report`` draws of it |
| ``rerank/`` | some of the trials trained longer by ``nas-tf rerank``, a run of its own |
| ``ledger.jsonl``, ``oracle.json``, ``trial_ID/`` | the oracle's and KerasTuner's own |
"""

from nas_tf.runs.load import Run
from nas_tf.runs.record import Stage, TrialRecord
from nas_tf.runs.reranking import Reranking

__all__ = ["Reranking", "Run", "Stage", "TrialRecord"]
