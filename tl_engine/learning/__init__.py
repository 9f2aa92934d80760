"""The only folder that loads TensorFlow and Keras."""

from tl_engine.machine import use_onednn

use_onednn()
