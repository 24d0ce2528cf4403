#!/bin/sh
# On the Jetson itself, beside the model: an engine is tied to its GPU and its TensorRT (JetPack).
# Builds an fp16 engine, times it, and then an int8 one for its time alone.
set -eu
cd "$(dirname "$0")"
name=$(basename "$0" .jetson.sh)
trtexec=${TRTEXEC:-/usr/src/tensorrt/bin/trtexec}
if ! command -v "$trtexec" > /dev/null; then
  echo "$0: $trtexec is not there or not a program: install TensorRT (JetPack has it), or give" \
    "TRTEXEC=/path/to/trtexec" >&2
  exit 4
fi
# The shapes of a model that takes any height and width; none where they are fixed.
shapes=""
"$trtexec" --onnx="$name.onnx" --fp16 --saveEngine="$name-fp16.engine" $shapes --useCudaGraph --iterations=200
echo "$name-fp16.engine is ready; its labels should be those of ONNX Runtime but at ties"
# Without calibration the ranges of int8 are made up: read the milliseconds, not the answers.
"$trtexec" --onnx="$name.onnx" --fp16 --int8 $shapes --useCudaGraph --iterations=200 ||
  echo "this TensorRT takes int8 from Q/DQ nodes alone: stay with fp16"
