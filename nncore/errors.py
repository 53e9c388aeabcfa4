"""The errors nncore raises on bad input: each names the input, what was expected and what to do."""


class NNCoreError(Exception):
    """Base of every error below; the command line prints its text and exits with status 2."""


class DataError(NNCoreError):
    """A data set is missing, damaged, or not what its file name says."""


class PictureFormatError(DataError):
    """A file is not a picture of a kind that is read."""


class ShapeError(NNCoreError, ValueError):
    """Two shapes do not fit: the message names the layer and both shapes."""


class WeightsError(NNCoreError):
    """A weights file or checkpoint cannot be read, or belongs to another network."""


class OptionError(NNCoreError, ValueError):
    """A setting has a value that is not allowed: the message lists what is."""


class TrainingError(NNCoreError):
    """Training cannot go on, for instance because the loss is no longer a number."""
