"""Hear which notes are played with Basic Pitch, the network that the package basic-pitch carries.

The network (Spotify, Apache-2.0 licence) takes two seconds of sound, 22,050 samples a second, and
says for each of a piano's 88 keys and each frame of 256 samples whether a note begins and whether
it sounds. Its own layers make a spectrogram first, by convolutions with strides up to 256.

    pip install matplotlib onnx && pip install --no-deps basic-pitch
    python examples/hear_notes.py
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Floats, carried, parser

import fastconv

RATE, SAMPLES = 22050, 43844  # samples a second, and in what the network takes
FRAME = 256  # samples
LOWEST = 21  # the MIDI number of a piano's first key; 69 is the A of 440 Hz
NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
TUNE = {60: 0.1, 64: 0.5, 67: 0.9, 72: 1.3}  # the keys of a broken chord, and when they are struck


class Note(NamedTuple):
    """A note: MIDI number, when it begins (in seconds), and how sure the network is of that."""

    key: int
    start: float
    score: float

    @property
    def name(self) -> str:
        """Such as C4, the middle C."""
        return f"{NAMES[self.key % 12]}{self.key // 12 - 1}"


def network() -> Path:
    """Return the path of the network."""
    return carried("basic_pitch", "saved_models/icassp_2022/nmp.onnx", "basic-pitch")


def piano(key: int, seconds: float) -> Floats:
    """Return the sound of a struck string: harmonics that fade, the high ones sooner."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 440 * 2 ** ((key - 69) / 12)
    harmonics = (
        np.sin(2 * np.pi * pitch * k * time) * np.exp(-2 * k * time) / k**1.5 for k in range(1, 8)
    )
    return np.asarray(0.3 * np.minimum(1, 100 * time) * sum(harmonics), np.float32)


def play(tune: dict[int, float]) -> Floats:
    """Return the samples (SAMPLES,) of notes that begin at given seconds."""
    sound = np.zeros(SAMPLES, np.float32)
    for key, start in tune.items():
        first = int(start * RATE)
        sound[first:] += piano(key, 2)[: SAMPLES - first]
    return sound


def read_sound(path: Path) -> Floats:
    """Read the first two seconds of a WAV file of 16 bits and 22,050 samples a second."""
    with wave.open(str(path)) as file:
        if (file.getsampwidth(), file.getframerate()) != (2, RATE):
            raise ValueError(f"{path}: expected 16 bits and {RATE} samples a second")
        data = np.frombuffer(file.readframes(SAMPLES), "<i2").reshape(-1, file.getnchannels())
    mono = data.mean(axis=1).astype(np.float32) / 32768
    return np.pad(mono, (0, SAMPLES - len(mono)))


def hear(model: Any, sound: Floats, least: float = 0.8) -> tuple[list[Note], Floats]:
    """Return the notes in a sound (SAMPLES,), and how likely each key sounds (frames, keys).

    Harmonics begin with their note, but score less than it does.
    """
    begins, sounds, _ = (array[0] for array in model(sound[None, :, None]))
    around = np.pad(begins, ((1, 1), (0, 0)))
    peaks = (begins > least) & (begins >= around[:-2]) & (begins > around[2:])
    notes = [
        Note(LOWEST + int(key), float(frame * FRAME / RATE), float(begins[frame, key]))
        for frame, key in np.argwhere(peaks)
    ]
    return notes, sounds


def draw(notes: list[Note], sounds: Floats) -> Any:
    """Draw the keys over time, and where notes begin -> a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    ends = 0, len(sounds) * FRAME / RATE, LOWEST - 0.5, LOWEST + sounds.shape[1] - 0.5
    axes.imshow(sounds.T, origin="lower", aspect="auto", extent=ends, cmap="Greys")
    for note in notes:
        axes.plot(note.start, note.key, ">", color="tab:red")
        axes.text(note.start, note.key + 1.5, note.name, color="tab:red")
    axes.set_xlabel("seconds")
    axes.set_ylabel("key (MIDI number)")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Hear, print and draw."""
    options = parser(__doc__, "notes.png")
    options.add_argument("--sound", type=Path, help="a WAV file; default: a chord, synthesised")
    chosen = options.parse_args(arguments)
    sound = read_sound(chosen.sound) if chosen.sound else play(TUNE)
    notes, sounds = hear(fastconv.load(network()), sound)
    print(f"{len(notes)} notes")
    for note in notes:
        print(f"  {note.name} (key {note.key}) at {note.start:.2f} s, score {note.score:.2f}")
    draw(notes, sounds).savefig(chosen.output)
    print(f"Picture written to {chosen.output}")


if __name__ == "__main__":
    main()
