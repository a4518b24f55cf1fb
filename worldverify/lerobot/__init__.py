"""LeRobot v3.0 datasets: their episodes as plans to be judged. Needs pyarrow, and nothing of LeRobot."""

from worldverify.lerobot.episodes import Dataset as Dataset
from worldverify.lerobot.episodes import Episode as Episode
from worldverify.lerobot.episodes import read_episodes as read_episodes
from worldverify.lerobot.episodes import verify_episodes as verify_episodes
from worldverify.lerobot.write import write_episodes as write_episodes
