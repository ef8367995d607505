"""Every dataset against the suite, on small files of its format; a new one is added to ``MAKE``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import dataset as suite
from feedmill.core.clock import FixedClock
from feedmill.core.protocols import Dataset
from feedmill.datasets import DATASETS
from feedmill.datasets.gowalla import Gowalla
from feedmill.datasets.kuairand import KuaiRand
from feedmill.datasets.kuairec import KuaiRec, KuaiRecSmall
from feedmill.datasets.mapping import MappedDataset
from feedmill.datasets.movielens import MovieLens100K, MovieLensLatest
from feedmill.datasets.segmm import SegMM
from feedmill.datasets.tables import EventsTable, ItemsTable, LogMapping, UsersTable


def movielens_100k(folder: Path) -> Dataset:
    (folder / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "2\t10\t4\t881250949\n1\t10\t3\t881250949\n1\t9\t5\t881250949\n1\t10\t1\t881250900\n"
    )
    (folder / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '9\tNet, The\t1995\tSci-Fi Thriller\n10\tAn "odd" one (1995)\tV\tChildren\'s\n267\tunkonwn\tunkonwn\tunknown\n'
    )
    (folder / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t24\tM\ttechnician\t85711\n2\t7\tF\tother\t94043\n"
    )
    return MovieLens100K(folder)


def movielens_latest(folder: Path) -> Dataset:
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,3,3.5,964981247\n")
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n1,Toy Story (1995),Adventure|Comedy\n"
        '3,"City of Lost Children, The (Cité des enfants perdus, La) (1995) ",(no genres listed)\n'
    )
    return MovieLensLatest(folder)


def gowalla(folder: Path) -> Dataset:
    (folder / "train.txt").write_text("0 0 1 2\n1 1 3\n2 0 4\n")
    (folder / "test.txt").write_text("0 3\n1 0 2\n")
    return Gowalla(folder)


def segmm(folder: Path) -> Dataset:
    (folder / "SegMM_inter_sample.csv").write_text(
        "user_id,video_id,time_ms,duration_ms,playing_time,label_1D\n"
        "1,30,205739830,32366,1623,[ 0 -1 -1 -1 -1 -1 -1]\n"
        '2,9,205739829,10000,21500,"[1 1\n 1]"\n'
        "1,9,205739830,10000,10000,[1 1]\n"
        "1,9,x,10000,10000,[1 1]\n"
    )
    return SegMM(folder)


VIEWS = (
    "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
    "0,3650,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.273397\n"
    "7,3650,0,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,0.0\n"
    "0,2,1500,,2020-07-05 00:08:23.438,20200705,1593878903.438,\n"
    "0,3,1500,9000,,,,0.1667\n"
)


def kuairec(folder: Path, of: type[KuaiRec] = KuaiRec) -> Dataset:
    (folder / of.matrix).write_text(VIEWS)
    (folder / "user_features.csv").write_text(
        "user_id,user_active_degree,is_live_streamer,follow_user_num,follow_user_num_range,onehot_feat0,onehot_feat4\n"
        '0,high_active,0,5,"(0,10]",0,\n7,UNKNOWN,1,0,0,1,13.0\n8,full_active,0,1,"(0,10]",0,2.0\n'
    )
    (folder / "item_categories.csv").write_text('video_id,feat\n2,[8]\n3650,"[27, 9]"\n4000,[1]\n')
    (folder / "item_daily_features.csv").write_text(
        "video_id,date,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,music_id,video_tag_id,"
        "video_tag_name,show_cnt,like_cnt\n"
        "3650,20200705,3309,NORMAL,2020-03-30,ShortImport,public,10867,3350323409,841,建筑,11000,20\n"
        "3650,20200706,3309,NORMAL,2020-03-30,ShortImport,public,10867,3350323409,841,建筑,99000,21\n"
    )
    return of(folder)


def kuairec_small(folder: Path) -> Dataset:
    return kuairec(folder, KuaiRecSmall)


SHOWN = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)


def kuairand(folder: Path) -> Dataset:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "log_standard_4_22_to_5_08_pure.csv").write_text(
        f"{SHOWN}0,11,20220422,700,1650582000000,1,1,1,1,1,0,1,19000,19000,0,0,0,0,1\n"
        "0,12,20220422,700,1650582000000,0,0,0,0,0,1,0,0,5000,0,0,0,0,1\n"
        "5,11,20220422,700,1650582001000,1,0,0,0,0,0,0,0,19000,0,0,0,0,0\n"
    )
    (folder / "data" / "log_standard_4_08_to_4_21_pure.csv").write_text(
        f"{SHOWN}5,13,20220408,900,1649380000000,0,0,0,0,0,0,0,700,0,0,0,0,0,2\n"
    )
    (folder / "data" / "log_random_4_22_to_5_08_pure.csv").write_text(
        f"{SHOWN}0,14,20220423,700,1650670000000,0,0,0,0,0,0,0,2000,8000,0,0,0,1,1\n"
    )
    (folder / "data" / "user_features_pure.csv").write_text(
        "user_id,user_active_degree,is_live_streamer,register_days,register_days_range,onehot_feat0,onehot_feat12\n"
        "0,full_active,-124,799,730+,1,\n5,UNKNOWN,1,3,8-14,0,1.0\n"
    )
    (folder / "data" / "video_features_basic_pure.csv").write_text(
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
        "music_id,music_type,tag\n"
        "11,70,NORMAL,2022-04-10,LongImport,0.0,99999.0,720.0,1280.0,9155697141,9.0,39\n"
        '13,71,AD,2022-04-09,UNKNOWN,0.0,87433.0,720.0,1280.0,9155697141,,"2,68"\n'
        "15,71,NORMAL,,Web,0.0,,720.0,1280.0,9155697141,4.0,\n"
    )
    return KuaiRand(folder)


def mapped(folder: Path) -> Dataset:
    (folder / "log.csv").write_text(
        "uid,vid,ts,act,sec\nu,a,1700000000,play,3\nu,b,1600000000,play,x\nv,b,1600000001,like,\n"
    )
    (folder / "videos.jsonl").write_text('{"vid":"a","tags":["x"]}\n{"vid":"c","tags":"y|z"}\n')
    (folder / "people.csv").write_text("uid,lang\nu,en\nv,de\n")
    events = EventsTable(
        user="uid", item="vid", time="ts", time_unit="s", kind="act", kinds={"play": "watch"}, value="sec"
    )
    items = ItemsTable(file="videos.jsonl", item="vid", topics="tags")
    users = UsersTable(file="people.csv", user="uid", attributes=("lang",))
    return MappedDataset(
        folder / "log.csv", LogMapping(events=events, items=items, users=users), FixedClock(suite.NOW_MS)
    )


MAKE: dict[str, Callable[[Path], Dataset]] = {
    "gowalla": gowalla,
    "kuairand": kuairand,
    "kuairec": kuairec,
    "kuairec-small": kuairec_small,
    "mapped": mapped,
    "ml-100k": movielens_100k,
    "ml-latest": movielens_latest,
    "segmm": segmm,
}
DESCRIBED = ("gowalla", "kuairand", "kuairec", "kuairec-small", "ml-100k", "ml-latest", "segmm")
CHECKS = [name for name in vars(suite) if name.startswith("check_") and name != "check_batch"]
DESCRIBED_CHECKS = [name for name in vars(suite) if name.startswith("described_")]


def test_every_registered_dataset_is_checked() -> None:
    assert set(MAKE) == {"mapped", *DATASETS}  # a user's own log has a path and a mapping, not a name
    assert all(callable(DATASETS[kind]) for kind in DATASETS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", MAKE)
def test_dataset(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(lambda: MAKE[kind](tmp_path), tmp_path)


@pytest.mark.parametrize("check", DESCRIBED_CHECKS)
@pytest.mark.parametrize("kind", DESCRIBED)
def test_described_dataset(kind: str, check: str, tmp_path: Path) -> None:
    getattr(suite, check)(lambda: MAKE[kind](tmp_path), tmp_path)
