"""The version of worldverify, part of every digest."""

VERSION = "0.1.0.dev0"
