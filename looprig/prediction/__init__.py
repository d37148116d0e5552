"""Memory prediction, scored: how long a history will be when a turn ends, from what is known when it starts.

`turns` plays scenarios and takes down each turn; `features` says what is known at a turn's start. A predictor
(`simple`, `linear`, `learner`) learns from some turns and predicts others; `scoring` says how far off it is, `study`
holds whole scenarios out and does all of it, and `verdict` says in sentences who won.
"""
