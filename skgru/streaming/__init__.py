"""Predictions after every time step of sequences that come in, at constant cost per step."""

from skgru.streaming.generation import generate
from skgru.streaming.pipelines import PipelineStream, stream
from skgru.streaming.streams import ClassifierStream, Stream, stream_of

__all__ = ["ClassifierStream", "PipelineStream", "Stream", "generate", "stream", "stream_of"]
