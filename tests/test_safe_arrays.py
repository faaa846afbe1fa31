"""Arrays come back to the last bit; a hostile file is refused before anything is allocated."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from pipeline.safe_arrays import ArrayError, from_npz, to_npz

THETA = np.array([0.1, -1 / 3, 5e-324, 1.7976931348623157e308, -0.0])


def npz(**entries: bytes) -> bytes:
    """A zip with these bytes under these names (``__`` for the dot)."""
    return zipped({name.replace("__", "."): content for name, content in entries.items()})


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(shape: str, data: bytes = b"", dtype: str = "'<f8'", order: str = "False") -> bytes:
    """The bytes of an array whose header says what we like."""
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def test_arrays_come_back_to_the_last_bit():
    again = from_npz(to_npz({"theta": THETA, "grid": THETA[:4].reshape(2, 2)}))
    assert again["theta"].tobytes() == THETA.tobytes()
    assert again["grid"].tobytes() == THETA[:4].tobytes()
    assert again["grid"].shape == (2, 2)


def test_numpy_reads_what_we_write_without_pickle():
    with np.load(io.BytesIO(to_npz({"theta": THETA})), allow_pickle=False) as arrays:
        assert arrays["theta"].tobytes() == THETA.tobytes()


def test_what_numpy_writes_is_read_also_when_compressed():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, theta=THETA)
    assert from_npz(buffer.getvalue())["theta"].tobytes() == THETA.tobytes()


def test_equal_arrays_give_equal_bytes():
    assert to_npz({"theta": THETA}) == to_npz({"theta": THETA.copy()})


def test_arrays_that_are_read_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        from_npz(to_npz({"theta": THETA}))["theta"][0] = 1


HOSTILE = {
    "object array": (npz(theta__npy=pickled()), "float64"),
    "huge shape": (npz(theta__npy=npy("(10**18,)".replace("10**18", str(10**18)))), "as long as"),
    "shape that overflows 64 bits": (npz(theta__npy=npy(f"({2**40}, {2**40})")), "as long as"),
    "negative shape": (npz(theta__npy=npy("(-1,)", b"")), "as long as"),
    "too little data": (npz(theta__npy=npy("(2,)", bytes(8))), "as long as"),
    "too much data": (npz(theta__npy=npy("(1,)", bytes(16))), "as long as"),
    "NaN": (npz(theta__npy=npy("(1,)", struct.pack("<d", float("nan")))), "finite"),
    "infinity": (npz(theta__npy=npy("(1,)", struct.pack("<d", float("inf")))), "finite"),
    "single precision": (npz(theta__npy=npy("(2,)", bytes(8), "'<f4'")), "float64"),
    "big endian": (npz(theta__npy=npy("(1,)", bytes(8), "'>f8'")), "float64"),
    "structured dtype": (npz(theta__npy=npy("(1,)", bytes(8), "[('a', '<f8')]")), "float64"),
    "Fortran order": (npz(theta__npy=npy("(1, 1)", bytes(8), order="True")), "C order"),
    "code in the header": (npz(theta__npy=npy("(__import__('os').getpid(),)")), "header"),
    "no header": (npz(theta__npy=b"theta"), "header"),
    "empty array file": (npz(theta__npy=b""), "header"),
    "path out of the folder": (zipped({"../theta.npy": npy("(1,)", bytes(8))}), "plain"),
    "absolute path": (zipped({"/etc/theta.npy": npy("(1,)", bytes(8))}), "plain"),
    "another kind of file": (zipped({"theta.pkl": b"x"}), "plain"),
    "bzip2": (zipped({"theta.npy": npy("(1,)", bytes(8))}, zipfile.ZIP_BZIP2), "deflated"),
    "65 arrays": (to_npz({f"a{i}": THETA for i in range(65)}), "at most 64"),
    "no zip": (b"PK but no zip", "zip"),
    "nothing": (b"", "zip"),
    "truncated": (to_npz({"theta": THETA})[:-30], "zip"),
}


@pytest.mark.parametrize(("content", "why"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_of_arrays_is_refused(content, why):
    """H01: each with a message that says what is wrong."""
    with pytest.raises(ArrayError, match=why) as refusal:
        from_npz(content)
    assert len(str(refusal.value)) < 600


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_comes_twice_is_refused():
    """H01: two readers would see two different arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for value in (1.0, 2.0):
            archive.writestr("theta.npy", npy("(1,)", struct.pack("<d", value)))
    with pytest.raises(ArrayError, match="different"):
        from_npz(buffer.getvalue())


def test_altered_byte_is_refused():
    """H01: by the checksum of the zip."""
    content = bytearray(to_npz({"theta": THETA}))
    content[content.index(THETA.tobytes())] ^= 1
    with pytest.raises(ArrayError, match="CRC"):
        from_npz(bytes(content))


def peak_of_refusal(content: bytes, why: str) -> int:
    """Bytes that were allocated at most while the content was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(ArrayError, match=why):
            from_npz(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("promised", [None, 4096, 128 + 4096])
def test_bomb_is_refused_before_memory_is_asked_for(promised):
    """H01: 300 MB of zeros in 0.3 MB, honest about its size or lying about it."""
    header = npy("(512,)" if promised else f"({300 * 2**17},)")
    bomb = zipped({"theta.npy": header + bytes(300 * 2**20)}, zipfile.ZIP_DEFLATED)
    if promised:
        at = bomb.index(b"PK\x01\x02") + 24  # the inflated size in the directory of the zip
        bomb = bomb[:at] + struct.pack("<I", promised) + bomb[at + 4 :]
    assert len(bomb) < 2**20
    assert peak_of_refusal(bomb, "CRC" if promised else "at most") < 2 * 2**20


def test_arrays_other_than_those_expected_are_refused():
    """H01: wrong shape, missing and surplus names."""
    content = to_npz({"theta": THETA})
    assert set(from_npz(content, {"theta": (5,)})) == {"theta"}
    for shapes in ({"theta": (4,)}, {"theta": (5, 1)}, {}, {"theta": (5,), "curve": (5,)}):
        with pytest.raises(ArrayError, match="differ in"):
            from_npz(content, shapes)
