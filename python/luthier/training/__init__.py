"""Fitting: settings, the loop, checkpoints and the files of a run.

run = fit("train.jsonl", model="MODEL", out="runs/a")
"""
