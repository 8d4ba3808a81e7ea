"""Compresses made-up pictures with encoders that are not ours, for tests of decoders.

Prints one JSON document per line: name, transfer syntax, how the pixels are stored, the compressed
frame, the pixels it was made of, and how far a decoder may be off.
"""
import base64
import json

import imagecodecs
import numpy

ROWS, COLUMNS = 61, 83


def picture(bits, samples=1, signed=False):
    """Slopes, edges, flat ground and noise: what the codes of all codecs differ for."""
    random = numpy.random.default_rng(bits * 10 + samples)
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    layers = []
    for sample in range(samples):
        values = (x * (sample + 1) + y * 2) % 180 / 255
        values[20:35, 10:50] = 0.5
        values += (random.random((ROWS, COLUMNS)) - 0.5) * 0.1 * (y > 40)
        layers.append(numpy.clip(values, 0, 1) * (2**bits - 1))
    stacked = numpy.stack(layers, axis=-1) if samples > 1 else layers[0]
    if signed:
        return (stacked - 2 ** (bits - 1)).astype(numpy.int16)
    return stacked.astype(numpy.uint8 if bits <= 8 else numpy.uint16)


def show(name, syntax, pixels, bits, frame, off_max=0, signed=False):
    is_wide = pixels.dtype.itemsize == 2
    expected = pixels & (2**bits - 1) if signed else pixels
    print(json.dumps({
        "name": name,
        "transfer_syntax_uid": "1.2.840.10008.1.2.4." + syntax,
        "rows": ROWS,
        "columns": COLUMNS,
        "samples": 3 if pixels.ndim == 3 else 1,
        "bits_allocated": 16 if is_wide else 8,
        "bits_stored": bits,
        "signed": signed,
        "frame": base64.b64encode(bytes(frame)).decode(),
        "pixels": base64.b64encode(expected.astype("<u2").tobytes()).decode(),
        "off_max": off_max,
    }))


grey, deep, twelve, colour = picture(8), picture(16), picture(12), picture(8, 3)
signed = picture(12, signed=True)

for pixels, bits, name in [(grey, 8, "8 bits"), (deep, 16, "16 bits"), (twelve, 12, "12 bits"), (colour, 8, "colour")]:
    for codec in ["j2k", "jp2"]:
        frame = imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat=codec, bitspersample=bits)
        show(f"JPEG 2000 lossless, {name}, {codec}", "90", pixels, bits, frame)
    frame = imagecodecs.jpeg2k_encode(pixels, level=60, codecformat="j2k", bitspersample=bits)
    show(f"JPEG 2000 lossy, {name}", "91", pixels, bits, frame, 2**bits / 24)
frame = imagecodecs.jpeg2k_encode(signed, level=0, reversible=True, codecformat="j2k", bitspersample=12)
show("JPEG 2000 lossless, signed", "90", signed, 12, frame, signed=True)

for pixels, bits, name in [(grey, 8, "8 bits"), (deep, 16, "16 bits"), (twelve, 12, "12 bits")]:
    for near, syntax in [(0, "80"), (2, "81")]:
        frame = imagecodecs.jpegls_encode(pixels, level=near)
        show(f"JPEG-LS near {near}, {name}", syntax, pixels, bits, frame, near)

for pixels, bits, name in [(grey, 8, "8 bits"), (deep, 16, "16 bits")]:
    frame = imagecodecs.ljpeg_encode(pixels, bitspersample=bits)
    show(f"JPEG lossless, {name}", "70", pixels, bits, frame)

for pixels, name in [(grey, "grey"), (colour, "colour")]:
    frame = imagecodecs.jpeg8_encode(pixels, level=95, subsampling="444" if pixels.ndim == 3 else None)
    show(f"JPEG baseline, {name}", "50", pixels, 8, frame, 40)
