"""Stores searches on disk and reads them, without TensorFlow. A run's folder contains:

| name | content |
|---|---|
| ``run.json`` | the provenance: schema, versions, machine, command, space, oracle, seed |
| ``config.yaml`` | the complete configuration, as resolved |
| ``data.json`` | the files of the user's own folders when the run started, to notice changes |
| ``trials/ID.json`` | one finished trial: genotype, rewards, metrics, costs, times, status |
| ``trials.csv`` | the same as a table, one row per trial, in the order in which they ended |
| ``gate.jsonl`` | the gate's decisions, in order |
| ``weights/ID.npz`` | the trained arrays of the best few trials |
| ``samples.png`` | predictions of the best trial so far |
| ``tensorboard/`` | curves, hyperparameters and pictures, one folder per worker |
| ``report.html``, ``report/`` | the report of ``nas-tf report`` and its pictures |
| ``rerank/`` | trials that ``nas-tf rerank`` trained longer, as a run of its own |
| ``ledger.jsonl``, ``oracle.json``, ``trial_ID/``, ``complete`` | of the oracle and KerasTuner |

The modules: ``filenames`` names the files; ``record`` defines the records of a run and its trials,
and ``trial_store`` stores the trials of several workers; ``load`` reads a run, ``reranking`` a
reranked one, ``progressive`` those that build on another; ``statistics`` computes tests and
correlations on rewards, ``trainings`` reads finished trainings, ``study`` a study of cheaper ones,
``folders`` finds all that there is, and ``optuna_study`` exports a run to Optuna.
"""

from nas_tf.runs.load import Run
from nas_tf.runs.record import RunInfo, Stage, TrialRecord
from nas_tf.runs.reranking import Reranking

__all__ = ["Reranking", "Run", "RunInfo", "Stage", "TrialRecord"]
