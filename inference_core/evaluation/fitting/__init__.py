"""What is chosen by labels: calibration, thresholds, the quantile of conformal sets."""
