"""Counts what a loop does: calls and bulk bytes, exact on any machine (`judge`)."""

from looprig.counted.judge import Plan as Plan
from looprig.counted.judge import judge as judge
