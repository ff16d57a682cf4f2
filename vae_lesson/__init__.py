"""The small module behind the VAE lesson. Importing it loads nothing heavy."""

__version__ = "0.1.0"
