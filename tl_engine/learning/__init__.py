"""Networks, and what is done with them: training, evaluation, prediction.

The only folder that loads TensorFlow and Keras, which takes seconds and hundreds of megabytes;
others import from it inside functions, in a process of their own. It may import data, runs,
storage and execution/cost, and knows neither pages nor commands.
"""

from tl_engine.machine import use_onednn

use_onednn()
