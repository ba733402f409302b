"""The kinds of answer: each shrinks the outputs on the device, finishes them on the CPU and makes a row."""
