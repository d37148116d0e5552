"""Says how a loop's cost per message grows with the length of the conversation (`judge`)."""

from looprig.growth.judge import METRICS as METRICS
from looprig.growth.judge import Limits as Limits
from looprig.growth.judge import Plan as Plan
from looprig.growth.judge import growth_of as growth_of
from looprig.growth.judge import judge as judge
from looprig.growth.reading import Growth as Growth
from looprig.growth.sizes import Stops as Stops
from looprig.growth.sizes import TooShort as TooShort
