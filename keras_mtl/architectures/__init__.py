"""Encoders that give each task a representation, and adversaries of them."""

from keras_mtl.architectures.shared_private import (
    SharedPrivate as SharedPrivate,
)
from keras_mtl.architectures.task_discriminator import (
    TaskDiscriminator as TaskDiscriminator,
)
from keras_mtl.architectures.task_encoder import TaskEncoder as TaskEncoder
