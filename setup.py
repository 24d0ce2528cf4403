"""Packaging of nas_tf, tuner_oracles and serving."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

CORE = [
    "tensorflow==2.15.1",
    "keras==2.15.0",
    "keras-tuner==1.4.8",
    "tensorflow-addons==0.23.0",
    "tensorflow-model-optimization==0.7.5",
    "tf-agents==0.19.0",
    "tensorflow-probability==0.23.0",
    "tfds-nightly",
    "numpy<2",
    "protobuf<5",
    "typing-extensions==4.5.0",  # asked for by tf-agents; newer ones crash TensorFlow 2.15
    "h5py",
    "click>=8.1",
    "rich>=13",
    "msgspec>=0.18",
    "PyYAML>=6",
    "filelock>=3.12",
    "pandas>=2",
    "matplotlib>=3.8",
    "Jinja2>=3.1",
    "pillow>=10",
    "scipy>=1.10",
    "threadpoolctl>=3",
    "array_record>=0.5",
    "pycocotools>=2.0.7",
    "psutil>=5.9",
    "packaging>=23",
    # These come with TensorFlow; they are imported here too.
    "flatbuffers>=23.5.26",
    "grpcio>=1.60",
    "tensorboard>=2.15,<2.16",
]

EXTRAS = {
    "gpu": ["tensorflow[and-cuda]==2.15.1"],
    "serving": ["tensorflow-serving-api==2.15.1", "urllib3>=2"],
    "onnx": ["tf2onnx==1.17.0", "onnx==1.17.0", "onnxruntime>=1.20"],
    "litert": ["ai-edge-litert>=2.1"],
    "demo": ["cryptography>=42", "segno>=1.6"],
    "bayesian": ["scikit-learn>=1.3"],
    "optuna": ["optuna>=4", "SQLAlchemy>=2"],
    "mlflow": ["mlflow-skinny>=2.9,<3"],
    "wandb": ["wandb>=0.16"],
    "dev": [
        "pytest>=8",
        "pytest-xdist>=3.5",
        "pytest-timeout>=2.3",
        "pytest-cov>=5",
        "cryptography>=42",
        "segno>=1.6",
        "hypothesis>=6.100",
        "scikit-learn>=1.3",
        "optuna>=4",
        "SQLAlchemy>=2",
        "kubernetes-validate>=1.34",
        "tf2onnx==1.17.0",
        "onnx==1.17.0",
        "onnxruntime>=1.20",
        "ai-edge-litert>=2.1",
        "ruff==0.17.5",
    ],
}

setup(
    name="nas-tf",
    version="0.1.0",
    description="Search small, fast networks for dense prediction and ship them, in TensorFlow",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    # TensorFlow 2.15 and tf-agents 0.19 (through pygame) have no wheels for Python 3.12.
    python_requires=">=3.11,<3.12",
    packages=[
        *find_packages(include=["nas_tf", "nas_tf.*", "tuner_oracles", "tuner_oracles.*"]),
        *find_packages(include=["serving", "serving.*"]),
        "nas_tf.configs",
    ],
    package_dir={"nas_tf.configs": "configs"},
    package_data={
        "nas_tf": ["py.typed"],
        "nas_tf.networks": ["drawn_mobilenet_v2_0.35.h5"],
        "nas_tf.report": ["*.html"],
        "nas_tf.configs": ["*.yaml"],
        "tuner_oracles": ["py.typed"],
        "serving": ["py.typed", "deploy/*", "demo/*"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["nas-tf=nas_tf.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
