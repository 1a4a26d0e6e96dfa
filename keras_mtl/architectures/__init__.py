"""Encoders with a representation for each task, and a task discriminator."""

from keras_mtl.architectures.adapters import TaskFiLM as TaskFiLM
from keras_mtl.architectures.adapters import TaskLoRA as TaskLoRA
from keras_mtl.architectures.catalogue import CATALOGUE as CATALOGUE
from keras_mtl.architectures.catalogue import deserialize as deserialize
from keras_mtl.architectures.catalogue import get as get
from keras_mtl.architectures.catalogue import serialize as serialize
from keras_mtl.architectures.cross_stitch import CrossStitch as CrossStitch
from keras_mtl.architectures.experts import Experts as Experts
from keras_mtl.architectures.levels import Level as Level
from keras_mtl.architectures.mmoe import MMoE as MMoE
from keras_mtl.architectures.mtan import MTAN as MTAN
from keras_mtl.architectures.ple import PLE as PLE
from keras_mtl.architectures.select_gate import SelectGate as SelectGate
from keras_mtl.architectures.shared_private import (
    SharedPrivate as SharedPrivate,
)
from keras_mtl.architectures.softmax_gate import SoftmaxGate as SoftmaxGate
from keras_mtl.architectures.task_discriminator import (
    TaskDiscriminator as TaskDiscriminator,
)
from keras_mtl.architectures.task_encoder import TaskEncoder as TaskEncoder
