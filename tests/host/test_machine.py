"""A process is set up once: one thread in OpenCV, and a folder for what is compiled."""

import cv2
import jax
import pytest

from iqa_jax.host import machine


@pytest.fixture
def host(monkeypatch):
    """Undoes what a set-up changes; gives what was asked of the C library."""
    threads, folder, asked = cv2.getNumThreads(), jax.config.jax_compilation_cache_dir, []
    monkeypatch.setattr(machine, "keep_freed_memory", lambda: asked.append("keep"))
    yield asked
    cv2.setNumThreads(threads)
    jax.config.update("jax_compilation_cache_dir", folder)


def test_opencv_has_one_thread_and_a_given_folder_stays(host, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    cv2.setNumThreads(3)
    machine.set_up_host()
    assert cv2.getNumThreads() == 1 and host == ["keep"]
    assert jax.config.jax_compilation_cache_dir == str(tmp_path)


def test_without_a_folder_it_is_in_the_home(host, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    # An accelerator's memory is not the C library's.
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    machine.set_up_host()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / ".cache/iqa_jax/compiled")
    assert host == []
