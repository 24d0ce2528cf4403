"""``python -m nas_tf``: the command line."""

from nas_tf.cli import main

main()
