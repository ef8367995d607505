"""Words for made videos: 110 topics, 30 cities, and titles in English and Chinese."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]

_TOPICS = """
comedy 搞笑|home cooking 家常菜|pets 萌宠|singing 唱歌|dance 舞蹈|street food 小吃|beauty 美妆|fashion 穿搭
gaming 游戏|football 足球|basketball 篮球|fitness 健身|travel 旅行|family 家庭|babies 宝宝|farming 种田
fishing 钓鱼|cars 汽车|motorbikes 摩托|trucks 卡车|film clips 电影剪辑|tv drama 电视剧|short drama 短剧
anime 动漫|drawing 绘画|calligraphy 书法|crafts 手工|knitting 编织|woodwork 木工|gardening 园艺|science 科学
history 历史|news 新闻|finance 理财|law 法律|medicine 医学|psychology 心理|education 教育|english lessons 英语
maths 数学|phones 手机|computers 电脑|programming 编程|robots 机器人|space 太空|physics 物理|chemistry 化学
animals 动物|birds 鸟类|insects 昆虫|ocean 海洋|mountains 登山|camping 露营|cycling 骑行|running 跑步
swimming 游泳|yoga 瑜伽|martial arts 武术|boxing 拳击|table tennis 乒乓球|badminton 羽毛球|tennis 网球
skiing 滑雪|skating 滑冰|chess 象棋|card games 纸牌|magic 魔术|acrobatics 杂技|opera 戏曲|piano 钢琴
guitar 吉他|violin 小提琴|drums 架子鼓|rap 说唱|folk songs 民歌|poetry 诗歌|books 读书|museums 博物馆
architecture 建筑|interior design 家装|cleaning 清洁|repairs 维修|cake 蛋糕|coffee 咖啡|tea 茶艺|noodles 面食
barbecue 烧烤|seafood 海鲜|fruit 水果|vegetarian 素食|hair 发型|nails 美甲|skin care 护肤|shoes 鞋子
watches 手表|jewellery 珠宝|toys 玩具|trains 火车|planes 飞机|ships 轮船|weather 天气|festivals 节日
weddings 婚礼|campus life 校园|office life 职场|countryside 乡村|night markets 夜市|old photos 老照片
mysteries 悬疑|good deeds 正能量
"""
_CITIES = """
Beijing 北京|Shanghai 上海|Guangzhou 广州|Shenzhen 深圳|Chengdu 成都|Chongqing 重庆|Hangzhou 杭州|Wuhan 武汉
Xi'an 西安|Nanjing 南京|Tianjin 天津|Suzhou 苏州|Zhengzhou 郑州|Changsha 长沙|Shenyang 沈阳|Qingdao 青岛
Harbin 哈尔滨|Kunming 昆明|Xiamen 厦门|Guiyang 贵阳|London 伦敦|New York 纽约|Singapore 新加坡|Sydney 悉尼
Toronto 多伦多|Dublin 都柏林|Chicago 芝加哥|Auckland 奥克兰|Leeds 利兹|Boston 波士顿
"""


def _pairs(lines: str) -> tuple[tuple[str, str], ...]:
    cells = lines.strip().replace("\n", "|").split("|")
    return tuple((cell.rpartition(" ")[0], cell.rpartition(" ")[2]) for cell in cells)


TOPICS: tuple[tuple[str, str], ...] = _pairs(_TOPICS)
CITIES: tuple[tuple[str, str], ...] = _pairs(_CITIES)
_FORMS = (
    ("The best {t} in {c}, part {n}", "{c}最好的{t} 第{n}集"),
    ("{n} things nobody tells you about {t}", "关于{t}没人告诉你的{n}件事"),
    ("A day of {t} in {c} ({n})", "{c}{t}的一天（{n}）"),
    ("{t} for beginners, lesson {n}", "{t}入门 第{n}课"),
    ("I tried {t} for {n} days", "我坚持{t}{n}天"),
    ("Why {c} loves {t}: reason {n}", "{c}人为什么爱{t}：理由{n}"),
    ("{t} at home, take {n}", "在家{t} 第{n}次"),
    ("You have never seen {t} like this, number {n}", "没见过这样的{t} {n}号"),
)
_PLAIN = ("videos", "视频")  # where there are no topics


def titles(topic: Integers, city: Integers, number: Integers, form: Integers) -> tuple[list[str], list[str]]:
    """A title of each of n videos in English, and in Chinese.

    Args:
        topic: int[n] of ``TOPICS``, -1 = none.
        city: int[n] of ``CITIES``.
        number: int[n] what tells a video from others of the topic.
        form: int[n] any number: which sentence.
    """
    english, chinese = [], []
    for t, c, n, f in zip(*(np.asarray(x).tolist() for x in (topic, city, number, form)), strict=True):
        about, where, words = (TOPICS[t] if t >= 0 else _PLAIN), CITIES[c], _FORMS[f % len(_FORMS)]
        said = words[0].format(t=about[0], c=where[0], n=n)
        english.append(said[0].upper() + said[1:])
        chinese.append(words[1].format(t=about[1], c=where[1], n=n))
    return english, chinese
