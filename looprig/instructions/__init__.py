"""Counts the instructions that a loop takes, by valgrind's callgrind (`judge`); `missing` says why it cannot."""

from looprig.instructions.judge import Plan as Plan
from looprig.instructions.judge import judge as judge
from looprig.instructions.valgrind import missing as missing
