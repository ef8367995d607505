"""An audience whose tastes are known: what would people do if the feed were another one?"""
