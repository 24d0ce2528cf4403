"""Runs the command line for ``python -m nas_tf``."""

from nas_tf.cli import main

if __name__ == "__main__":
    main()
