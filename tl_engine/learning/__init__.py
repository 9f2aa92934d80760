"""Networks, and what is done with them: training, evaluation, prediction.

The only folder that loads TensorFlow and Keras, which takes seconds and hundreds of megabytes:
others import from it inside functions, in a process of their own. It may import the engine below
it (analysis, catalog, data, runs, storage) and the requests of execution/predictor, and knows
neither pages nor commands.
"""

from tl_engine.machine import use_onednn

use_onednn()
